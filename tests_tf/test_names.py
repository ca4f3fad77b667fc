"""The public names: none is lacking, and each takes TensorFlow 1's arguments in its order."""

import inspect
import types

import pytest
from table import has, names
from test_calls import CALLS, ERRORS

import gradplan as gp

#: Names that no row of a table calls.
OTHERS = """
    AggregationMethod NoGradient NotDifferentiable RegisterGradient SparseTensorValue
    UnconnectedGradients bfloat16 float16 initializers.glorot_normal initializers.glorot_uniform
    initializers.ones initializers.random_normal initializers.random_uniform
    initializers.truncated_normal initializers.variance_scaling initializers.zeros int16 int8
    losses.Reduction losses.get_regularization_losses math.acos math.asin math.atan math.ceil
    math.cos math.cosh math.count_nonzero math.cumprod math.cumsum math.digamma math.divide
    math.equal math.erf math.expm1 math.floor math.floordiv math.greater math.is_nan
    math.l2_normalize
    math.less math.lgamma math.log1p math.log_sigmoid math.logical_and math.maximum math.multiply
    math.negative math.not_equal math.reciprocal math.reduce_all math.reduce_any math.reduce_max
    math.reduce_mean math.reduce_min math.reduce_prod math.round math.rsqrt math.segment_sum
    math.sign math.sin math.sinh math.softsign math.sqrt math.squared_difference math.subtract
    math.tan math.tanh math.truediv math.unsorted_segment_sum random.set_random_seed
    sparse.SparseTensor sparse.to_dense sparse_placeholder test.compute_gradient
    test.compute_gradient_error uint8
""".split()  # fmt: skip

#: Names whose parameters are others on purpose, and why.
DIFFERS = {
    "get_local_variable": "there is one device, so nothing to synchronize or aggregate",
    "custom_gradient": "TensorFlow 2 made the function optional",
    "get_variable": "there is one device, so nothing to synchronize or aggregate",
    "group": "its keyword arguments are spelled out",
    "lin_space": "TensorFlow 2 added an axis",
    "linalg.diag": "bands came with MatrixDiagV2; here it is the main diagonal",
    "linalg.diag_part": "bands came with MatrixDiagPartV2",
    "linalg.set_diag": "bands came with MatrixSetDiagV2",
    "linspace": "TensorFlow 2 added an axis",
    "matrix_diag": "bands came with MatrixDiagV2",
    "matrix_diag_part": "bands came with MatrixDiagPartV2",
    "matrix_set_diag": "bands came with MatrixSetDiagV2",
    "meshgrid": "its keyword arguments are spelled out",
    "nn.softmax_cross_entropy_with_logits_v2": "TensorFlow 1's had defaults",
    "register_tensor_conversion_function": "the last one registered comes first",
    "shape": "TensorFlow 1's default was int32",
    "size": "TensorFlow 1's default was int32",
}
#: Parameters that TensorFlow 2 has put into functions of compat.v1.
NEW = """layout dtype_hint output_type grad_a grad_b bad_indices_policy index_type sparse_gradient
    allow_fast_lookup exponential_avg_factor beta fn_output_signature""".split()
#: Where output_type, or beta, is TensorFlow 1's.
NOT_NEW = ("argmax", "argmin", "nn.lrn", "nn.local_response_normalization")
#: A parameter of TensorFlow 1 that only refused positional arguments, and is gone.
SENTINEL = "_sentinel"


def test_no_name_is_lacking():
    wanted = {name for row in CALLS + ERRORS for name in names(row.program)} | set(OTHERS)
    lacking = sorted(name for name in wanted if not has(gp, name))
    assert not lacking, f"gradplan lacks {len(lacking)} names: {' '.join(lacking)}"


def functions(module, prefix=""):
    """The public functions of gradplan and of its namespaces, by name."""
    found = []
    for name, value in sorted(vars(module).items()):
        if name.startswith("_"):
            continue
        if inspect.isfunction(value) and value.__module__.startswith("gradplan."):
            found.append(prefix + name)
        elif isinstance(value, types.ModuleType) and prefix == "" and name not in ("errors", "ops"):
            if value.__name__.startswith("gradplan."):
                found += functions(value, f"{name}.")
    return found


def parameters(name):
    found = gp
    for part in name.split("."):
        found = getattr(found, part)
    wanted = inspect.signature(found).parameters.values()
    return [(p.name, "" if p.default is p.empty else repr(p.default)) for p in wanted]


def plain(default):
    """A default as both write it: types by their names, lists as tuples."""
    default = default.replace("tf.", "").replace("gp.", "")
    return default.replace("[", "(").replace("]", ")")


def old(name, listed):
    """The parameters that TensorFlow 1 had, with their defaults; the default name is no matter."""
    return [
        (p, "" if p == "name" else plain(d))
        for p, d in listed
        if p != SENTINEL and (p not in NEW or name in NOT_NEW)
    ]


@pytest.mark.parametrize("name", functions(gp))
def test_parameters(name, tensorflow):
    theirs = tensorflow.signature(name)
    if theirs is None:
        return  # it is gradplan's own, or of TensorFlow before 2
    ours, theirs = old(name, parameters(name)), old(name, theirs)
    # gradplan may take more at the end, but for what there is the order and defaults are these.
    same = ours[: len(theirs)] == theirs
    assert same == (name not in DIFFERS), f"\n{name}\ngradplan   {ours}\nTensorFlow {theirs}"
