"""Conditionals and loops have bodies, which no row can hold: tests of their own stand for them."""

SPECS = []

ELSEWHERE = {
    "Assert": "test_control_flow.test_assertions",
    "PyFunc": "test_control_flow.test_py_func",
    "PyFuncResult": "test_control_flow.test_py_func",
    "If": "test_control_flow.test_assignments_in_branches",
    "StatelessIf": "test_control_flow.test_gradients_of_cond",
    "While": "test_control_flow.test_variables_in_loops",
    "StatelessWhile": "test_control_flow.test_gradients_of_while",
    "Scan": "test_control_flow.test_random_numbers_differ_from_row_to_row",
    "StatelessScan": "test_control_flow.test_gradients_of_scan",
    "AddRow": "test_loop_rows.test_gradients_of_rows_that_trips_take",
    "TensorArrayV3": "test_control_flow.test_arrays_are_filled_in_loops",
    "TensorArrayWriteV3": "test_control_flow.test_gradients_through_arrays",
    "TensorArrayGrow": "test_growing.test_gradients_of_arrays_that_grow",
    "TensorArrayReadV3": "test_control_flow.test_gradients_through_arrays",
}
