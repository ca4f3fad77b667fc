# Part of _core.pyx.
# ---- threads ----

cdef int default_threads = 1


def num_threads():
    """How many threads an executable uses that was not told."""
    return default_threads


def set_num_threads(n):
    """Change that, for the next run of every executable; returns the previous number."""
    global default_threads
    previous = default_threads
    default_threads = checked_threads(n)
    return previous


cdef int checked_threads(n) except -1:
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"a number of threads is an integer, not {n!r}")
    if not 1 <= n <= GP_MAX_THREADS:
        raise ValueError(f"{n} threads: the number must be between 1 and {GP_MAX_THREADS}")
    return n


def pool_workers():
    """Threads that the pool has made so far, for tests."""
    return gp_n_workers()


def cpu_quota(root="/sys/fs/cgroup", own="/proc/self/cgroup"):
    """CPUs that the cgroups of this process allow, rounded up, or None for no limit."""
    limits = []
    try:
        with open(own) as lines:
            groups = [line.rstrip("\n").split(":", 2) for line in lines if line.count(":") >= 2]
    except OSError:
        return None
    for _, controllers, path in groups:
        second = controllers == ""  # cgroup v2
        if not second and "cpu" not in controllers.split(","):
            continue
        base = root if second else f"{root}/{controllers}"
        names = path.strip("/").split("/") if path.strip("/") else []
        for depth in range(len(names) + 1):  # a parent's quota binds too
            place = "/".join([base, *names[:depth]])
            try:
                if second:
                    quota, period = open(place + "/cpu.max").read().split()
                else:
                    quota = open(place + "/cpu.cfs_quota_us").read()
                    period = open(place + "/cpu.cfs_period_us").read()
                if int(quota) > 0 and int(period) > 0:
                    limits.append(-(-int(quota) // int(period)))
            except (OSError, ValueError):  # no such file, or "max"
                continue
    return min(limits, default=None)


cdef int find_threads() except -1:
    given = os.environ.get("GRADPLAN_NUM_THREADS")
    if given:
        try:
            return checked_threads(int(given))
        except ValueError:
            raise ImportError(f"GRADPLAN_NUM_THREADS={given!r}: an integer between 1 and "
                              f"{GP_MAX_THREADS} is expected") from None
    try:
        cpus = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        cpus = os.cpu_count() or 1
    quota = cpu_quota()
    return max(1, min(cpus, quota or cpus, GP_MAX_THREADS))


default_threads = find_threads()
