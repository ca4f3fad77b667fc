"""The operations: each public function stands under its one declaration."""
