"""The names of ``gp.manip``; each is declared in one of the modules below."""
