"""Operations on whether variables have values: they need a session, so no row can test them."""

SPECS = []
ELSEWHERE = {
    "AssertVariablesInitialized": "test_variables.test_which_variables_have_a_value",
    "CountUpTo": "test_variables.test_counting_up_to_a_limit",
    "InitializedValue": "test_variables.test_initialized_value_is_the_value_or_the_initial_one",
    "IsVariableInitialized": "test_variables.test_which_variables_have_a_value",
}
