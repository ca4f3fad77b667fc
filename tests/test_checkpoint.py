"""The checkpoint file: round trips, damage of every kind, and saves that do not end."""

from __future__ import annotations

import io
import os
import pickle
import random
import signal
import subprocess
import sys
import time
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

import gradplan as gp
from gradplan import errors
from gradplan.train import checkpoint as ck

REFUSALS = (errors.DataLossError, errors.NotFoundError, errors.InvalidArgumentError)
INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
TYPES = ["bool", *INTEGERS, "float16", "float32", "float64"]


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def specs(arrays):
    return {name: (a.dtype, a.shape) for name, a in arrays.items()}


def npy(array: np.ndarray, **kw) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array(out, array, **kw)
    return out.getvalue()


def archive(path, members, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as z:
        for name, data in members:
            z.writestr(name, data)
    return path


def header(text: bytes, data: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


# ------------------------------------------------------------------------------------ round trips


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (5, 7), (2, 3, 1, 4)])
def test_round_trip(tmp_path, dtype, shape):
    path = tmp_path / "a.npz"
    a = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    ck.write_arrays(path, {"w": a})
    assert same(ck.read_arrays(path)["w"], a)
    assert same(ck.read_arrays(path, {"w": (np.dtype(dtype), shape)})["w"], a)
    with np.load(path) as bare:
        assert same(bare["w"], a)


def test_layouts_and_byte_orders(tmp_path):
    path = tmp_path / "a.npz"
    base = np.arange(24.0).reshape(4, 6)
    arrays = {
        "strided": base[::2, ::-3],
        "transposed": base.T,
        "fortran": np.asfortranarray(base),
        "big": base.astype(">f4"),
        "readonly": np.broadcast_to(np.float32(3), (2, 2)),
        "special": np.array([np.nan, -0.0, np.inf, 5e-324]),
    }
    ck.write_arrays(path, arrays)
    back = ck.read_arrays(path)
    for name, a in arrays.items():
        assert same(back[name], np.ascontiguousarray(a.astype(a.dtype.newbyteorder("="))))
        assert back[name].flags.c_contiguous and back[name].flags.writeable


def test_reads_what_numpy_writes(tmp_path):
    path = tmp_path / "a.npz"
    a = np.arange(6, dtype=">i4").reshape(2, 3)
    np.savez(path, a=a, f=np.asfortranarray(a), s=np.float32(2))
    back = ck.read_arrays(path, {"f": (np.dtype("i4"), (2, 3)), "s": (np.dtype("f4"), ())})
    assert same(back["f"], a.astype("i4")) and back["s"] == 2 and list(back) == ["f", "s"]
    assert back["f"].flags.c_contiguous


def test_strange_names(tmp_path):
    path = tmp_path / "a.npz"
    names = [
        "file",
        "allow_pickle",
        "self",
        "a/b/c",
        "x.npy",
        "ünï/日本",
        "a..b",
        "sp ace",
        "-",
        ".",
    ]
    arrays = {name: np.full(i, i, "f4") for i, name in enumerate(names)}
    ck.write_arrays(path, arrays)
    back = ck.read_arrays(path)
    assert list(back) == names and all(same(back[n], arrays[n]) for n in names)
    with np.load(path) as bare:
        assert same(bare["allow_pickle"], arrays["allow_pickle"])


@pytest.mark.parametrize(
    "name", ["", "/abs", "../up", "a/../b", "a\0b", "a\\b", "x" * 5000, "\ud800", 3]
)
def test_refused_names(tmp_path, name):
    with pytest.raises(ValueError):
        ck.write_arrays(tmp_path / "a.npz", {name: np.zeros(1)})
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    "value", [np.array([None]), np.array(["a"]), np.zeros(1, "c8"), np.zeros(1, "i4,f4")]
)
def test_refused_types(tmp_path, value):
    with pytest.raises(ValueError, match="cannot hold"):
        ck.write_arrays(tmp_path / "a.npz", {"good": np.zeros(1), "v": value})
    assert not os.listdir(tmp_path)


def test_duplicate_names(tmp_path):
    class Twice(dict):
        def items(self):
            return [("a", np.zeros(1)), ("a", np.ones(1))]

    with pytest.raises(ValueError, match="two arrays"):
        ck.write_arrays(tmp_path / "a.npz", Twice())


def test_equal_arrays_give_equal_bytes(tmp_path):
    for name in ("a", "b"):
        ck.write_arrays(tmp_path / name, {"w": np.arange(9.0), "n/m": np.int64(3)})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_no_arrays_and_many(tmp_path):
    ck.write_arrays(tmp_path / "none", {})
    assert ck.read_arrays(tmp_path / "none") == {}
    arrays = {f"v{i}": np.array(i) for i in range(2000)}
    ck.write_arrays(tmp_path / "many", arrays)
    assert len(ck.read_arrays(tmp_path / "many")) == 2000


# --------------------------------------------------------------------------------------- mismatch


def test_wanted(tmp_path):
    path = tmp_path / "model-7.npz"
    arrays = {"dense/kernel": np.ones((2, 3), "f4"), "dense/bias": np.ones(3, "f4")}
    ck.write_arrays(path, arrays)
    want = specs(arrays)
    f4 = np.dtype("f4")
    with pytest.raises(
        errors.NotFoundError, match=r"'dense/kernal' is not .*model-7.*dense/kernel"
    ):
        ck.read_arrays(path, {**want, "dense/kernal": (f4, (2, 3))})
    assert list(ck.read_arrays(path, {**want, "x": (f4, ())}, optional={"x"})) == list(want)
    with pytest.raises(errors.InvalidArgumentError, match=r"\(3,\).*model-7.*\(4,\)"):
        ck.read_arrays(path, {"dense/bias": (f4, (4,))})
    with pytest.raises(errors.InvalidArgumentError, match="float32.*float64"):
        ck.read_arrays(path, {"dense/bias": (np.dtype("f8"), (3,))})
    with pytest.raises(errors.NotFoundError, match="there is no checkpoint"):
        ck.read_arrays(tmp_path / "none.npz")
    with pytest.raises(errors.NotFoundError):
        ck.read_arrays(path / "below.npz")


def test_a_file_that_is_not_there_is_both_errors_of_tensorflow_1(tmp_path):
    gp.Variable(1.0)
    for kind in (errors.NotFoundError, ValueError):
        with pytest.raises(kind, match="there is no checkpoint .*none.npz"):
            gp.train.Saver().restore(gp.Session(), tmp_path / "none")


# ----------------------------------------------------------------------------------------- damage


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.npz"
    arrays = {
        "w": np.arange(6, dtype="f4").reshape(2, 3),
        "n/ü": np.array(3),
        "e": np.zeros((0, 2)),
    }
    ck.write_arrays(path, arrays)
    return path, arrays


def assert_refused_or_exact(path, arrays):
    """Read all, then the wanted: each raises one of ours or gives exactly what was saved."""
    for wanted in (None, specs(arrays)):
        try:
            back = ck.read_arrays(path, wanted)
        except REFUSALS as error:
            assert str(path) in str(error)
        else:
            assert back.keys() == arrays.keys()
            assert all(same(back[name], arrays[name]) for name in arrays)


def test_truncated_at_every_byte(small):
    path, _ = small
    whole = path.read_bytes()
    for n in range(len(whole)):
        path.write_bytes(whole[:n])
        with pytest.raises(errors.DataLossError, match="small.npz"):
            ck.read_arrays(path)


def test_every_byte_flipped(small):
    path, arrays = small
    whole = path.read_bytes()
    rng = random.Random(0)
    for n in range(len(whole)):
        for mask in (1 << rng.randrange(8), 0xFF, whole[n] or 0x80):  # one bit, all, to zero
            path.write_bytes(whole[:n] + bytes([whole[n] ^ mask]) + whole[n + 1 :])
            assert_refused_or_exact(path, arrays)


def test_random_damage(small):
    path, arrays = small
    whole = path.read_bytes()
    rng = random.Random(1)
    for _ in range(1500):
        data = bytearray(whole)
        for _ in range(rng.randrange(1, 4)):
            i, j = sorted(rng.randrange(len(data)) for _ in "ab")
            match rng.randrange(4):
                case 0:
                    del data[i:j]
                case 1:
                    data[i:j] = data[i:j] * 2
                case 2:
                    data[i : i + 8] = rng.randbytes(8)
                case 3:
                    data[i : i + 4] = rng.choice([b"\0" * 4, b"\xff" * 4, b"\xff\xff\xff\x7f"])
        path.write_bytes(data)
        assert_refused_or_exact(path, arrays)


class Bomb:
    def __reduce__(self):
        return (os.mkdir, ("was-run",))


def test_pickles_are_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    good = npy(np.zeros(2))
    lying = header(b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n")
    path = tmp_path / "p.npz"
    for data in (npy(np.array([Bomb()], object), allow_pickle=True), lying, pickle.dumps(Bomb())):
        archive(path, [("good.npy", good), ("bad.npy", data)])
        with pytest.raises(errors.DataLossError, match="bad"):
            ck.read_arrays(path)
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(errors.DataLossError):
        ck.read_arrays(path)
    assert not os.path.exists("was-run")


def shape_header(shape: bytes, descr=b"<f4") -> bytes:
    return header(
        b"{'descr': '" + descr + b"', 'fortran_order': False, 'shape': " + shape + b", }\n"
    )


BAD_MEMBERS = {
    "huge": shape_header(b"(1099511627776, 1099511627776)"),
    "zero times huge": shape_header(b"(0, 4611686018427387904)"),
    "overflow": shape_header(b"(4294967296, 4294967296, 4294967296)"),
    "wraps to zero": shape_header(b"(18446744073709551616,)"),
    "negative": shape_header(b"(-1,)"),
    "rank 40": shape_header(b"(" + b"1, " * 40 + b")"),
    "digits": shape_header(b"(" + b"9" * 3000 + b",)"),
    "code": shape_header(b"(__import__('os').mkdir('x'),)"),
    "nested": header(b"(" * 4000),
    "long": header(b" " * 60000),
    "longer than the member": b"\x93NUMPY\x01\x00\xff\xff{",
    "version 3": b"\x93NUMPY\x03\x00" + npy(np.zeros(1))[8:],
    "short": b"\x93NUM",
    "empty": b"",
    "complex": npy(np.zeros(1, "c8")),
    "text": npy(np.array("text")),
    "record": npy(np.zeros(1, "i4,f4")),
    "time": npy(np.zeros(1, "M8[s]")),
    "too few bytes": npy(np.zeros(9))[:-1],
    "too many bytes": npy(np.zeros(9)) + b"\0",
    "no bool": npy(np.zeros(3, bool))[:-1] + b"\x07",
}


@pytest.mark.parametrize("kind", BAD_MEMBERS)
def test_bad_members(tmp_path, kind):
    path = archive(tmp_path / "b.npz", [("v.npy", BAD_MEMBERS[kind])])
    tracemalloc.start()
    with pytest.raises(errors.DataLossError, match="b.npz.*'v'"):
        ck.read_arrays(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1e6


def test_bad_archives(tmp_path):
    path = tmp_path / "b.npz"
    good = npy(np.zeros(2))

    def refused(match):
        with pytest.raises(errors.DataLossError, match=match):
            ck.read_arrays(path)

    archive(path, [("v.npy", npy(np.zeros(10**6)))], zipfile.ZIP_DEFLATED)
    refused("compressed")
    archive(path, [("v.npy", good), ("readme.txt", b"hello")])
    refused("not an array")
    with pytest.warns(UserWarning, match="Duplicate"):
        archive(path, [("v.npy", good), ("v.npy", good)])
    refused("twice")
    archive(path, [("v.npy", good)])
    path.write_bytes(b"x" + path.read_bytes())  # zipfile would read on, shifted
    refused("does not start")
    for data in (b"", b"PK", b"\0" * 100, npy(np.zeros(3)), b"PK\5\6" + b"\xff" * 18):
        path.write_bytes(data)
        refused("no complete .npz")
    with pytest.raises(errors.DataLossError, match="regular"):
        ck.read_arrays(tmp_path)


def test_members_that_share_bytes(tmp_path):
    """The quotation bomb: many directory entries of one member's bytes."""
    path = archive(tmp_path / "b.npz", [("v.npy", npy(np.zeros(1000)))])
    data = path.read_bytes()
    at = data.index(b"PK\1\2")
    entry, end = data[at : data.index(b"PK\5\6")], bytearray(data[data.index(b"PK\5\6") :])
    end[8:10] = end[10:12] = (500).to_bytes(2, "little")
    end[12:16] = (500 * len(entry)).to_bytes(4, "little")
    path.write_bytes(data[:at] + entry * 500 + end)
    with pytest.raises(errors.DataLossError, match="does not start where"):
        ck.read_arrays(path)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "p.npz")
    with pytest.raises(errors.DataLossError, match="regular"):
        ck.read_arrays(tmp_path / "p.npz")


def test_crc_is_of_the_data(tmp_path):
    path = tmp_path / "a.npz"
    ck.write_arrays(path, {"v": np.arange(8, dtype="u1")})
    with zipfile.ZipFile(path) as z:
        info = z.infolist()[0]
        assert info.CRC == zlib.crc32(z.read("v.npy")) and z.testzip() is None


# --------------------------------------------------------------------------- saves that do not end


class Failing:
    """A file whose n-th write fails."""

    def __init__(self, path, mode, n):
        self.file, self.n = open(path, mode), n  # noqa: SIM115 (closed by __exit__)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.file.close()

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, data):
        self.n -= 1
        if self.n < 0:
            raise OSError(28, "No space left on device")
        return self.file.write(data)


def test_every_failing_write(tmp_path, monkeypatch, small):
    path, arrays = small
    new = {name: a + a.dtype.type(1) for name, a in arrays.items()}
    before = path.read_bytes()
    n = 0
    while True:
        monkeypatch.setattr(ck, "open", lambda p, m, n=n: Failing(p, m, n), raising=False)
        try:
            ck.write_arrays(path, new)
        except OSError as error:
            assert error.errno == 28
        else:
            break
        finally:
            monkeypatch.delattr(ck, "open")
        assert path.read_bytes() == before and os.listdir(tmp_path) == ["small.npz"]
        n += 1
    assert n > 10
    assert all(same(a, new[name]) for name, a in ck.read_arrays(path).items())


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_failing_calls(monkeypatch, small, call, error):
    path, arrays = small

    def fail(*args):
        raise error

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(type(error)):
        ck.write_arrays(path, {"other": np.zeros(3)})
    monkeypatch.undo()
    assert os.listdir(path.parent) == ["small.npz"]
    assert_refused_or_exact(path, arrays)
    assert ck.read_arrays(path).keys() == arrays.keys()


def test_file_is_flushed_before_and_directory_after_the_rename(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace

    def spy_fsync(fd):
        calls.append("directory" if os.path.isdir(f"/proc/self/fd/{fd}") else "file")
        fsync(fd)

    def spy_replace(a, b):
        calls.append("replace")
        replace(a, b)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(os, "replace", spy_replace)
    ck.write_arrays(tmp_path / "a.npz", {"w": np.zeros(3)})
    ck.update_state(tmp_path, str(tmp_path / "a"), [])
    assert calls == ["file", "replace", "directory"] * 2 or not os.path.isdir("/proc/self/fd")


def save_for_ever(path: str, fd: int) -> None:
    i = 0
    while True:
        i += 1
        ck.write_arrays(path, {"a": np.full(20000, i), "b": np.full(20000, i)})
        ck.update_state(os.path.dirname(path), path[:-4], [f"m-{j}" for j in range(i % 50)])
        os.write(fd, b"%d\n" % i)


def test_killed_saves_leave_a_complete_file(tmp_path):
    path = tmp_path / "m.npz"
    rng = random.Random(2)
    for _ in range(30):
        read, write = os.pipe()
        child = os.fork()  # rather than a new interpreter each: 30 kills in about a second
        if child == 0:
            try:
                save_for_ever(str(path), write)
            finally:
                os._exit(1)
        os.close(write)
        with os.fdopen(read) as lines:
            last = int(lines.readline())  # the first save ended
            time.sleep(rng.random() * 0.01)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            last = max([last, *(int(line) for line in lines if line.endswith("\n"))])
        back = ck.read_arrays(path)
        assert back["a"][0] in (last, last + 1)
        assert (back["a"] == back["a"][0]).all() and same(back["a"], back["b"])
        latest, kept = ck.read_state(tmp_path)
        assert latest == str(tmp_path / "m") and len(kept) in (last % 50, (last + 1) % 50)


def test_file_size_limit(tmp_path):
    """The system itself refuses the write: the old file stays, nothing else is left."""
    path = tmp_path / "m.npz"
    ck.write_arrays(path, {"a": np.zeros(4)})
    code = (
        "import resource, sys, numpy as np\n"
        "from gradplan.train import checkpoint as ck\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000))\n"
        "try: ck.write_arrays(sys.argv[1], {'a': np.zeros(100000)})\n"
        "except OSError as e: print(e.errno)\n"
    )
    src = str(Path(ck.__file__).parents[2])
    env = {**os.environ, "PYTHONPATH": src}
    run = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, env=env, check=False
    )
    assert run.stdout.strip() == "27", run.stderr
    assert os.listdir(tmp_path) == ["m.npz"] and ck.read_arrays(path)["a"].shape == (4,)


# ---------------------------------------------------------------------------------- the state file


def test_state_file(tmp_path):
    d = str(tmp_path)
    assert ck.read_state(d) == (None, []) and ck.get_checkpoint_state(d) is None
    assert ck.latest_checkpoint(d) is None and ck.latest_checkpoint(d + "/none") is None
    prefixes = [os.path.join(d, f"m-{i}") for i in (1, 2)]
    for prefix in prefixes:
        ck.write_arrays(prefix + ".npz", {"w": np.zeros(1)})
    ck.update_state(d, prefixes[1], prefixes)
    assert (tmp_path / "checkpoint").read_text() == (
        'model_checkpoint_path: "m-2"\n'
        'all_model_checkpoint_paths: "m-1"\nall_model_checkpoint_paths: "m-2"\n'
    )
    state = ck.get_checkpoint_state(d)
    assert state.model_checkpoint_path == prefixes[1] == ck.latest_checkpoint(d)
    assert state.all_model_checkpoint_paths == prefixes
    assert ck.checkpoint_exists(prefixes[0]) and not ck.checkpoint_exists(d + "/m-3")


@pytest.mark.parametrize("name", ['q"uo\\te', "new\nline", "ünï", "a b", "\udcff", "tab\t\\n"])
def test_state_file_strange_paths(tmp_path, name):
    prefix = str(tmp_path / name)
    ck.update_state(tmp_path, prefix, [prefix, "/else/where/m-1"], "other")
    assert ck.read_state(tmp_path, "other") == (prefix, [prefix, "/else/where/m-1"])
    assert ck.read_state(tmp_path) == (None, [])


def test_latest_checkpoint_falls_back_to_a_scan(tmp_path):
    for i, step in enumerate((30, 4, 200)):
        path = tmp_path / f"m-{step}.npz"
        ck.write_arrays(path, {"w": np.zeros(1)})
        os.utime(path, (1000 + i, 1000 + i))
    (tmp_path / "m-999.npz").write_bytes(path.read_bytes()[:-9])  # newest, but cut off
    (tmp_path / ".m-1.npz.tmp").write_bytes(b"")
    latest = str(tmp_path / "m-200")
    assert ck.latest_checkpoint(tmp_path) == latest
    for state in (
        b"",
        b"\xff\0garbage",
        b"model_checkpoint_path: m-4",
        b'model_checkpoint_path: "gone-1"',
        b'model_checkpoint_path: "m-4"\nall_model_check',
    ):
        (tmp_path / "checkpoint").write_bytes(state)
        assert ck.latest_checkpoint(tmp_path) == latest
    (tmp_path / "checkpoint").write_bytes(b'model_checkpoint_path: "m-4"')
    assert ck.latest_checkpoint(tmp_path) == str(tmp_path / "m-4")
    for path in tmp_path.glob("m-*.npz"):
        os.utime(path, (1000, 1000))  # within one tick: the higher step
    (tmp_path / "checkpoint").unlink()
    assert ck.latest_checkpoint(str(tmp_path)) == latest


def test_failing_state_write_keeps_the_old_one(tmp_path, monkeypatch):
    ck.update_state(tmp_path, str(tmp_path / "m-1"), [])
    monkeypatch.setattr(os, "replace", lambda a, b: (_ for _ in ()).throw(OSError(5, "EIO")))
    with pytest.raises(OSError):
        ck.update_state(tmp_path, str(tmp_path / "m-2"), [])
    assert ck.read_state(tmp_path)[0] == str(tmp_path / "m-1")
    assert os.listdir(tmp_path) == ["checkpoint"]


# ---- without a graph -----------------------------------------------------------------------------


def test_a_checkpoint_is_read_by_name(tmp_path):
    values = {
        "a/w": np.arange(6.0, dtype=np.float32).reshape(2, 3),
        "n": np.int64(7),
        "half": np.array([1.5, -2.0], np.float32),
    }
    for name, value in values.items():
        gp.get_variable(name, initializer=gp.constant(value), dtype=None)
    short = gp.get_variable("short", initializer=gp.cast(gp.constant([1.5]), gp.bfloat16))
    with gp.Session() as sess:
        sess.run(gp.global_variables_initializer())
        path = gp.train.Saver().save(sess, str(tmp_path / "model"), global_step=3)
    for given in (path, path + ".npz", str(tmp_path)):
        reader = gp.train.load_checkpoint(given)
        shapes = {"a/w": [2, 3], "n": [], "half": [2], "short": [1]}
        assert reader.get_variable_to_shape_map() == shapes
        assert gp.train.list_variables(given) == sorted(shapes.items())
        assert reader.get_variable_to_dtype_map() == {
            "a/w": gp.float32,
            "n": gp.int64,
            "half": gp.float32,
            "short": short.dtype,
        }
        for name, value in values.items():
            found = reader.get_tensor(name)
            assert found.dtype == value.dtype and found.tolist() == value.tolist()
            assert gp.train.load_variable(given, name + ":0").tolist() == value.tolist()
        assert reader.has_tensor("n") and not reader.has_tensor("n:0")
        with pytest.raises(gp.errors.NotFoundError, match="'a/v'|a/v"):
            reader.get_tensor("a/v")


def test_a_reader_refuses_what_is_no_checkpoint(tmp_path):
    with pytest.raises(gp.errors.NotFoundError, match="there is no checkpoint"):
        gp.train.NewCheckpointReader(str(tmp_path / "none"))
    with pytest.raises(ValueError, match="Couldn't find 'checkpoint' file"):
        gp.train.load_checkpoint(str(tmp_path))
    (tmp_path / "bad.npz").write_bytes(b"PK nothing")
    with pytest.raises(gp.errors.DataLossError):
        gp.train.list_variables(str(tmp_path / "bad"))
