# The front door; the build itself is CMakeLists.txt.
#
#   make                    build build/hone (installs missing packages where it can)
#   make demo               build, fetch a small model, fine-tune it, and show before and after
#   make test               everything that `make test` promises: under 3 minutes, no network
#   make check-all          the same under the sanitizers, and the long tests
#   make bench              this machine's limits, and how near hone comes
#   make install PREFIX=/usr/local
#   make format             clang-format on every C file
#   make clean

BUILD  ?= build
PREFIX ?= /usr/local
JOBS   ?= $(shell nproc 2>/dev/null || echo 2)
GENERATOR := $(shell command -v ninja >/dev/null 2>&1 && echo Ninja || echo "Unix Makefiles")

all: $(BUILD)/CMakeCache.txt
	@cmake --build $(BUILD) --target hone -j $(JOBS)
	@echo "built $(BUILD)/hone"

$(BUILD)/CMakeCache.txt:
	@tools/deps.sh
	@cmake -G "$(GENERATOR)" -S . -B $(BUILD) -DCMAKE_BUILD_TYPE=Release >/dev/null

demo: all
	@HONE=$(abspath $(BUILD))/hone examples/demo.sh

test:
	@tools/deps.sh test
	@JOBS=$(JOBS) test/run --build $(BUILD)

check-all:
	@tools/deps.sh test
	@JOBS=$(JOBS) test/run_all --build $(BUILD)

bench: all
	@HONE=$(abspath $(BUILD))/hone examples/bench.sh

install: all
	@cmake --install $(BUILD) --prefix $(PREFIX)

format:
	@git ls-files '*.c' '*.h' | xargs clang-format -i

clean:
	@rm -rf build build-asan build-debug

.PHONY: all demo test check-all bench install format clean
