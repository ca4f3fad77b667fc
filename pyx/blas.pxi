# Part of _core.pyx.
# ---- BLAS: SciPy's, held at one thread while one of our plans multiplies ----

ctypedef void (*set_threads_t)(int) noexcept
ctypedef int (*get_threads_t)() noexcept
cdef bint blas_loaded = False
cdef set_threads_t set_threads = NULL
cdef get_threads_t get_threads = NULL
cdef int holders = 0       # runs in flight that hold it; the GIL guards it
cdef int threads_before = 0


cdef void *blas_pointer(capi, name) except NULL:
    capsule = capi[name]
    return PyCapsule_GetPointer(capsule, PyCapsule_GetName(capsule))


cdef linalg_pointers(str name):
    """``__pyx_capi__`` of a module of scipy.linalg, loaded without the package around it, which takes
    ten times as long and is not needed here. Whoever imports it later gets the same module."""
    import importlib
    from importlib import machinery, util
    whole = "scipy.linalg." + name
    try:
        if whole in sys.modules:
            return sys.modules[whole].__pyx_capi__
        places = [os.path.join(p, "linalg") for p in util.find_spec("scipy").submodule_search_locations]
        spec = machinery.PathFinder.find_spec(whole, places)
        module = util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules.pop(whole, None)  # for the package to find it itself when that is imported
        return module.__pyx_capi__
    except Exception:  # of a SciPy that is laid out otherwise
        return importlib.import_module(whole).__pyx_capi__


def load_blas():
    """Take the matrix products from SciPy (some 20 ms the first time, nothing afterwards)."""
    global blas_loaded
    if blas_loaded:
        return
    capi = linalg_pointers("cython_blas")
    find_thread_control()
    gp_set_blas(blas_pointer(capi, "sgemm"), blas_pointer(capi, "dgemm"),
                blas_pointer(capi, "sgemv"), blas_pointer(capi, "dgemv"))
    blas_loaded = True


cdef bint lapack_loaded = False
#: In the order of gp_lapack_f32 in csrc/core.h.
LAPACK = ("potrf", "trtrs", "getrf", "getrs", "getri", "gelsd", "syevd", "gesdd", "geqrf", "orgqr")


def load_lapack():
    """Take the decompositions from SciPy too."""
    global lapack_loaded
    cdef void *pointers[20]
    if lapack_loaded:
        return
    load_blas()
    capi = linalg_pointers("cython_lapack")
    for i, name in enumerate([kind + name for kind in "sd" for name in LAPACK]):
        pointers[i] = blas_pointer(capi, name)
    gp_set_lapack(pointers)
    lapack_loaded = True


cdef find_thread_control():
    """SciPy's OpenBLAS among the loaded ones, and how its build spells its functions."""
    global set_threads, get_threads
    import ctypes
    from threadpoolctl import ThreadpoolController
    paths = [c.filepath for c in ThreadpoolController().lib_controllers
             if c.internal_api == "openblas"]
    paths.sort(key=lambda path: "numpy" in os.path.basename(os.path.dirname(path)))
    if not paths:
        return
    library = ctypes.CDLL(paths[0])
    for prefix in ("scipy_openblas", "openblas"):
        for suffix in ("", "64_", "_64", "64"):
            try:
                setter = getattr(library, f"{prefix}_set_num_threads{suffix}")
                getter = getattr(library, f"{prefix}_get_num_threads{suffix}")
            except AttributeError:
                continue
            set_threads = <set_threads_t><uintptr_t>ctypes.cast(setter, ctypes.c_void_p).value
            get_threads = <get_threads_t><uintptr_t>ctypes.cast(getter, ctypes.c_void_p).value
            return


cdef inline void hold_blas() noexcept:
    global holders, threads_before
    if set_threads != NULL and holders == 0:
        threads_before = get_threads()
        if threads_before != 1:
            set_threads(1)
    holders += 1


cdef inline void release_blas() noexcept:
    global holders
    holders -= 1
    if set_threads != NULL and holders == 0 and threads_before != 1:
        set_threads(threads_before)


cdef bint special_loaded = False


cdef void *special_pointer(capi, str name, str signature) except NULL:
    """The function of this name and type, whatever number Cython gave it among its variants."""
    for key, capsule in capi.items():
        if key == name or key.startswith("__pyx_fuse_") and key[11:].lstrip("0123456789") == name:
            if PyCapsule_GetName(capsule).decode().startswith(signature):
                return PyCapsule_GetPointer(capsule, PyCapsule_GetName(capsule))
    raise ImportError(f"scipy.special.cython_special has no {name}: gradplan needs SciPy 1.8 or later")


cdef load_special():
    """Take the special functions from SciPy (0.1 s the first time, nothing afterwards)."""
    global special_loaded
    if special_loaded:
        return
    from scipy.special import cython_special
    capi = cython_special.__pyx_capi__
    gp_set_special(special_pointer(capi, "psi", "double (double, int"),
                   special_pointer(capi, "gammainc", "double (double, double, int"),
                   special_pointer(capi, "gammaincc", "double (double, double, int"),
                   special_pointer(capi, "betainc", "double (double, double, double, int"))
    special_loaded = True


def use_products(int way):
    """Which matrix products our own kernels do: 0 those below the measured sizes (the default), 1 all
    that they can, -1 none. For tests and measurements; returns the previous choice."""
    global gp_product_way
    previous = gp_product_way
    gp_product_way = way
    return previous
