# gradplan: `make demo` trains on real data, `make test` runs the suite. Both need only Python 3.11+,
# a C compiler and make; everything else goes into virtual environments here.

PYTHON ?= python3
PYTEST_FLAGS ?= -n 2

# The environment is made anew when one of these changes.
SOURCES := pyproject.toml setup.py $(shell find src pyx csrc -name '*.py' -o -name '*.npz' \
	-o -name 'py.typed' -o -name '*.pyx' -o -name '*.pxi' -o -name '*.pxd' -o -name '*.def' -o -path 'csrc/*.[ch]')
PYTHON_FILES := setup.py src tests tests_tf docs examples benchmarks
# -v takes back the -q of pyproject.toml, so that the run closes with pytest's full line.
PYTEST := python -m pytest -v --no-header --tb=short -rfE

ASAN = LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
	ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 \
	UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 PYTHONMALLOC=malloc

.PHONY: help demo test test-tf docs lint format hostile sanitize bench bench-peers wheel clean

help:
	@echo 'make demo      train on the bundled handwritten digits, in .venv'
	@echo 'make test      the whole test suite, in .venv'
	@echo 'make test-tf   the operations against TensorFlow, which is installed for it (some 2 GB)'
	@echo 'make docs      the pages of operations and of names, from the declarations'
	@echo 'make lint      ruff, mypy and clang-format'
	@echo 'make format    ruff and clang-format, in place'
	@echo 'make hostile   the suite on a build with tiny tiles and a poisoned arena'
	@echo 'make sanitize  the suite on a build under ASan and UBSan (gcc)'
	@echo 'make bench     the benchmarks; BENCH_FLAGS=--quick for a glance'
	@echo 'make bench-peers  the systems to compare with, some 4 GB, in benchmarks/.peers'
	@echo 'make wheel     a wheel, in dist'
	@echo 'make clean     remove all that make made'

# $(call install,ENVIRONMENT,EXTRAS,BUILD): a fresh build, as objects of another flavour or modules
# that have gone would otherwise be taken from build/.
define install
	test -x $(1)/bin/python || $(PYTHON) -m venv $(1)
	rm -rf build
	GRADPLAN_BUILD=$(3) $(1)/bin/python -m pip install --quiet --disable-pip-version-check '.[$(2)]'
	touch $@
endef

.venv/.demo: $(SOURCES)
	$(call install,.venv,demo,)

.venv/.dev: $(SOURCES)
	$(call install,.venv,test$(comma)dev,)
	touch .venv/.demo

.venv-hostile/.dev: $(SOURCES)
	$(call install,.venv-hostile,test,hostile)

.venv-sanitize/.dev: $(SOURCES)
	$(call install,.venv-sanitize,test,sanitize)

comma := ,

demo: .venv/.demo
	.venv/bin/gradplan train

test: .venv/.dev
	.venv/bin/$(PYTEST) $(PYTEST_FLAGS) tests

# A second oracle: TensorFlow answers from a process and an environment of its own.
test-tf: .venv/.dev benchmarks/.peers/tensorflow/bin/python
	.venv/bin/$(PYTEST) tests_tf

docs: .venv/.dev
	.venv/bin/python docs/operations.py
	.venv/bin/python docs/tf1_names.py

lint: .venv/.dev
	.venv/bin/ruff check $(PYTHON_FILES)
	.venv/bin/ruff format --check $(PYTHON_FILES)
	.venv/bin/mypy src
	.venv/bin/clang-format --dry-run -Werror csrc/*.c csrc/*.h

format: .venv/.dev
	.venv/bin/ruff check --fix $(PYTHON_FILES)
	.venv/bin/ruff format $(PYTHON_FILES)
	.venv/bin/clang-format -i csrc/*.c csrc/*.h

hostile: .venv-hostile/.dev
	.venv-hostile/bin/$(PYTEST) $(PYTEST_FLAGS) tests

sanitize: .venv-sanitize/.dev
	$(ASAN) .venv-sanitize/bin/$(PYTEST) $(PYTEST_FLAGS) tests

bench: .venv/.dev
	.venv/bin/python -m benchmarks $(BENCH_FLAGS)

# $(call peers,ENVIRONMENT,PACKAGES): one after the other, so that a package which cannot be had here
# costs only itself.
define peers
	test -x benchmarks/.peers/$(1)/bin/python || $(PYTHON) -m venv benchmarks/.peers/$(1)
	for package in $(2); do \
		benchmarks/.peers/$(1)/bin/python -m pip install --quiet --disable-pip-version-check \
			$$package || echo "bench-peers: no $$package here; the benchmarks will skip it"; \
	done
endef

# TensorFlow and PyTorch want an environment each.
bench-peers:
	$(call peers,main,threadpoolctl matplotlib torch==2.13.0 jax onnxruntime onnx scikit-learn)
	$(call peers,tensorflow,threadpoolctl tensorflow-cpu)

benchmarks/.peers/tensorflow/bin/python:
	$(call peers,tensorflow,threadpoolctl tensorflow-cpu)

wheel: .venv/.dev
	rm -rf build
	.venv/bin/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean:
	rm -rf .venv .venv-hostile .venv-sanitize benchmarks/.peers build dist src/*.egg-info
