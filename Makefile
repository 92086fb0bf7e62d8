# medrat: `make help` lists the targets, README.md explains them.

config ?= release
BUILD ?= build/$(config)
CC = gcc
PREFIX ?= /usr/local
DESTDIR ?=

# What makes a fault in a parser end the program rather than go on. (Sanitizers bring their own.)
HARDEN = -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection
CFLAGS_release = -O2 -g $(HARDEN)
CFLAGS_debug = -O0 -g
CFLAGS_sanitize = -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
CFLAGS_tsan = -O1 -g -fsanitize=thread
CFLAGS_coverage = -Og -g --coverage
# "float" is double: see tests/double/double.h; every float literal would be a warning
CFLAGS_double = -O2 -g -include tests/double/double.h -w
CFLAGS_fuzz = -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
ifeq ($(CFLAGS_$(config)),)
$(error config=$(config) is not one of: release debug sanitize tsan coverage fuzz double)
endif

WARNINGS = -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
    -Wpointer-arith -Wwrite-strings -Wdouble-promotion -Wvla
# -ffp-contract=off: a sum is what the source says, on every compiler (decision "one result").
CFLAGS += -fPIE -std=c11 $(WARNINGS) $(CFLAGS_$(config)) -ffp-contract=off -pthread
CPPFLAGS += -D_POSIX_C_SOURCE=200809L -Ilib -I. -DMEDRAT_SOURCE_SHARE='"$(CURDIR)/formats"' \
    -DMEDRAT_SOURCE_EXAMPLES='"$(CURDIR)/examples"'
LDFLAGS += -pie -Wl,-z,relro,-z,now,-z,noexecstack $(filter -fsanitize=% --coverage,$(CFLAGS_$(config))) -pthread
LDLIBS += -ljansson -lyaml -lpcre2-8 -lutf8proc -lz -lm

LIB_SRC = $(wildcard formats/*.c lib/*/*.c)
# What trains, without files and texts.
DOUBLE_SRC = $(filter-out %/mapped_file.c %/cpu_count.c,$(wildcard lib/base/*.c)) \
    $(wildcard lib/compute/*.c lib/cpu/*.c) \
    $(addprefix lib/train/,lora.c train_buffers.c train_pass.c train_forward.c train_backward.c train_linear.c)
ifeq ($(config),double)
LIB_SRC = $(DOUBLE_SRC)
endif
LIB_OBJ = $(LIB_SRC:%.c=$(BUILD)/%.o)
LIB = $(BUILD)/libmedrat.a
TOOL_NAMES = $(patsubst bin/%.c,%,$(wildcard bin/medrat-*.c))
TOOLS = $(TOOL_NAMES:%=$(BUILD)/bin/%)
MAN = $(TOOL_NAMES:%=$(BUILD)/man/%.1)
COMPLETION = $(BUILD)/completion/medrat
C_TESTS = $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/*_test.c tests/op/*_test.c))
DOUBLE_TESTS = $(patsubst %.c,build/double/%,$(wildcard tests/double/*_test.c))
FUZZ_NAMES = $(patsubst tests/fuzz/%_fuzz.c,%,$(wildcard tests/fuzz/*_fuzz.c))
FUZZERS = $(FUZZ_NAMES:%=$(BUILD)/tests/fuzz/%_fuzz)
REPLAYS = $(FUZZ_NAMES:%=$(BUILD)/tests/fuzz/%_replay)
FIXTURES = $(patsubst %.c,$(BUILD)/%,$(wildcard tests/golden/make_*.c))
PRELOADS = $(patsubst %.c,$(BUILD)/%.so,$(wildcard tests/preload/*.c))
# What tests may share: golden rows (tests/golden/golden.h), small models (tests/golden/tiny.h).
GOLDEN = $(BUILD)/tests/golden/libgolden.a
BENCHES = $(patsubst %.c,$(BUILD)/%,$(wildcard tests/bench/*.c))

V ?= 0
Q = $(if $(filter 1,$(V)),,@)

## all       build the tools into build/$(config)/bin and their man pages (never needs the network)
all: $(TOOLS) $(COMPLETION) $(if $(shell command -v scdoc),$(MAN) $(BUILD)/man/medrat.7)

## lib       build the static library alone
lib: $(LIB)

## demo      fresh machine -> evidence on screen: installs what is missing, fetches the models, runs
demo: NEED = demo
demo: deps models
	$(Q)$(MAKE) --no-print-directory all
	$(Q)mkdir -p build/demo
	$(Q)MEDRAT_BIN=$(BUILD)/bin examples/pipeline.sh examples/questions.jsonl build/demo/evidence.jsonl
	$(Q)examples/show build/demo/evidence.jsonl

JOBS ?= $(shell nproc)

## check     all tests, under the release and the sanitizer build; ends with one result line
check: deps models
	$(Q)$(MAKE) --no-print-directory --jobs=$(JOBS) config=release tests
	$(Q)$(MAKE) --no-print-directory --jobs=$(JOBS) config=sanitize tests
	$(Q)$(MAKE) --no-print-directory --jobs=$(JOBS) config=fuzz CC=clang fuzzers
	$(Q)$(MAKE) --no-print-directory --jobs=$(JOBS) config=tsan threaded
	$(Q)$(MAKE) --no-print-directory --jobs=$(JOBS) config=double doubles
	$(Q)prove --jobs 2 --timer --exec tests/run.sh $(CHECKS)

# What prove runs. A .bats file named inside a build folder is the one in tests/, run on that build.
CHECKS = $(sort $(wildcard tests/*.bats tests/cli/*.bats)) \
    $(C_TESTS:$(BUILD)/%=build/release/%) \
    $(C_TESTS:$(BUILD)/%=build/sanitize/%) $(REPLAYS:$(BUILD)/%=build/sanitize/%) \
    $(SANITIZED_BATS:%=build/sanitize/%) $(FUZZERS:$(BUILD)/%=build/fuzz/%) \
    $(THREADED:%=build/tsan/tests/%) $(DOUBLE_TESTS)
# Real models and engines run on the release build only: these have no other test.
SANITIZED_BATS = $(filter-out %/rerank_sets.bats %/cluster.bats %/night.bats %/dataset.bats,$(sort $(wildcard tests/cli/*.bats)))

# What the thread sanitizer sees: training, the pool, sequences that share blocks, the encoder, a whole tool.
THREADED = op/train_test unit/thread_pool_test unit/scheduler_heads_test unit/encoder_test cli/gen.bats
threaded: $(TOOLS) $(FIXTURES) $(THREADED:%=$(BUILD)/tests/%)

# Gradients against finite differences.
doubles: $(DOUBLE_TESTS)

## tests     build the tools and the test programs, run nothing
# The benches are built with them, so that they do not rot; a clock never fails a test.
tests: all $(C_TESTS) $(REPLAYS) $(FIXTURES) $(PRELOADS) $(BENCHES) $(SANITIZED_BATS:%=$(BUILD)/%)

$(BUILD)/tests/cli/%.bats: tests/cli/%.bats
	$(Q)mkdir -p $(@D) && touch $@

## deps      install the Debian packages that building, testing and fetching need
deps:
	$(Q)CC='$(CC)' .make/deps.sh $(NEED)

## models    fetch the demo models into models/ (once, checksums verified)
models:
	$(Q).make/models.sh

## bench     speed as shares of this machine's own peak, and beside peers that are found
bench: all $(BENCHES)
	$(Q)MEDRAT_BIN=$(BUILD)/bin MEDRAT_BENCH=$(BUILD)/tests/bench tests/bench/run.sh

## bench-train  speed of training as a share of this machine's own peak, and beside PEFT
bench-train: $(BUILD)/tests/bench/bench_train
	$(Q)MEDRAT_BENCH=$(BUILD)/tests/bench tests/bench/train.sh

## bench-7b  layers of Mistral-7B's shape in Q4_K_M beside llama.cpp: ratios and floors
bench-7b: all $(BENCHES) $(FIXTURES)
	$(Q)MEDRAT_BENCH=$(BUILD)/tests/bench MEDRAT_FIXTURES=$(BUILD)/tests/golden tests/bench/large.sh

## card      the model card's evaluation: make card MODEL=ORG/NAME ADAPTER=DIR DATA=FILE.jsonl
card: all
	$(Q)MEDRAT_BIN=$(BUILD)/bin .make/card.sh '$(MODEL)' '$(ADAPTER)' '$(DATA)' build/card

## peers     fetch and build what bench compares with, into build/peers (some 5 GB, 20 minutes)
peers:
	$(Q)tests/bench/fetch_peers.sh

## torture   kill runs with --resume at each system call, and have the disk refuse it: EVERY=N, ONLY="score ..."
torture: all $(FIXTURES)
	$(Q)MEDRAT_BUILD=$(CURDIR)/$(BUILD) tests/torture.sh $(or $(EVERY),1) $(ONLY)

## million   a million records through each tool: memory must not grow: N=1000000, ONLY="medrat-score ..."
million: all $(FIXTURES)
	$(Q)MEDRAT_BUILD=$(CURDIR)/$(BUILD) tests/million.sh

## fuzz      fuzz every parser for a while, or one: make fuzz [TARGET=jsonl] [SECONDS=60]
SECONDS ?= 60
TARGET ?= $(FUZZ_NAMES)
fuzz: deps
	$(Q)$(MAKE) --no-print-directory config=fuzz CC=clang $(TARGET:%=build/fuzz/tests/fuzz/%_fuzz)
	$(Q)tests/fuzz/run.sh $(SECONDS) $(TARGET)

fuzzers: $(FUZZERS)

## coverage  lines of the parsers that tests and fuzz seeds run; fails below 90 % (minutes)
coverage: deps
	$(Q)[ ! -d build/coverage ] || find build/coverage -name '*.gcda' -delete
	$(Q)$(MAKE) --no-print-directory config=coverage tests
	$(Q).make/coverage.sh $(PARSERS)

# What reads bytes of others: files, records, arguments.
PARSERS = $(sort $(wildcard formats/*.c lib/text/*.c)) lib/rank/passages.c lib/run/score_input.c \
    lib/run/score_partial_read.c lib/run/score_protocol.c lib/run/score_frame.c \
    lib/train/checkpoint.c lib/train/train_rows.c lib/train/lora_folder.c \
    lib/cli/cli.c lib/cli/cli_value.c lib/cli/config_file.c

## golden    make the golden files again (needs the Python packages that tests/golden/README.md names)
golden:
	$(Q)$(MAKE) --no-print-directory config=release tests
	$(Q)tests/golden/make.sh

## adapter   train the demo adapter again, into build/adapter: make adapter DATA=val.jsonl (an hour)
adapter: models all
	$(Q)mkdir -p build/adapter
	$(Q)MEDRAT_BIN=$(BUILD)/bin examples/adapters/train '$(DATA)' build/adapter/rationales-smollm2

# Those that ship, by their folders.
ADAPTERS = $(patsubst %/adapter_config.json,%,$(wildcard examples/adapters/*/adapter_config.json))

## install   into $(DESTDIR)$(PREFIX): bin/, share/medrat/, share/man/, share/bash-completion/
COMPLETIONS = share/bash-completion/completions
install: all $(MAN) $(BUILD)/man/medrat.7
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 \
	    $(DESTDIR)$(PREFIX)/share/man/man7 $(DESTDIR)$(PREFIX)/$(COMPLETIONS) \
	    $(DESTDIR)$(PREFIX)/share/medrat/recipes $(ADAPTERS:examples/%=$(DESTDIR)$(PREFIX)/share/medrat/%)
	install $(TOOLS) $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(MAN) $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 $(BUILD)/man/medrat.7 $(DESTDIR)$(PREFIX)/share/man/man7
	for tool in $(TOOL_NAMES); do \
	    install -m 644 $(COMPLETION) $(DESTDIR)$(PREFIX)/$(COMPLETIONS)/$$tool || exit; \
	done
	install -m 644 formats/recipes/*.yaml $(DESTDIR)$(PREFIX)/share/medrat/recipes
	for adapter in $(ADAPTERS:examples/%=%); do \
	    install -m 644 examples/$$adapter/* $(DESTDIR)$(PREFIX)/share/medrat/$$adapter || exit; \
	done

## bundle    one tar that works after `tar x`, with the demo models (BUNDLE_MODELS= leaves them out)
BUNDLE ?= $(BUILD)/medrat-$(shell uname -m).tar
BUNDLE_MODELS ?= smollm2 minilm
bundle: $(TOOL_NAMES:%=$(BUILD)/bundle/bin/%)
	$(Q)rm -rf $(BUILD)/bundle/stage
	$(Q)$(MAKE) --no-print-directory install TOOLS='$^' DESTDIR=$(BUILD)/bundle/stage PREFIX=/medrat >/dev/null
	$(Q).make/bundle.sh $(BUILD)/bundle/stage $(BUNDLE) $(BUNDLE_MODELS)

## uninstall remove what install put there
uninstall:
	rm -f $(TOOL_NAMES:%=$(DESTDIR)$(PREFIX)/bin/%) \
	    $(TOOL_NAMES:%=$(DESTDIR)$(PREFIX)/share/man/man1/%.1) \
	    $(DESTDIR)$(PREFIX)/share/man/man7/medrat.7 \
	    $(TOOL_NAMES:%=$(DESTDIR)$(PREFIX)/$(COMPLETIONS)/%)
	rm -rf $(DESTDIR)$(PREFIX)/share/medrat

## format    clang-format over the tree
format:
	$(Q)git ls-files '*.c' '*.h' | xargs clang-format -i

## clean     remove build/
clean:
	$(Q)rm -rf build

## help      this list
help:
	$(Q)sed -n 's/^## //p' Makefile

# ---- how things are made

$(LIB): $(LIB_OBJ)
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $^

# The file's name is its licence to use the instruction set; no other file may.
ifeq ($(shell uname -m),x86_64)
CFLAGS += -fcf-protection
AVX2_FLAGS = -mavx2 -mfma -mf16c
AVX512_FLAGS = $(AVX2_FLAGS) -mavx512f -mavx512bw -mavx512vl -mavx512dq
$(BUILD)/%_avx2.o: private CFLAGS += $(AVX2_FLAGS)
$(BUILD)/%_avx512.o: private CFLAGS += $(AVX512_FLAGS)
$(BUILD)/%_avx512vnni.o: private CFLAGS += $(AVX512_FLAGS) -mavx512vnni
endif

# Other flags make other objects.
FLAGS = $(CC) $(CPPFLAGS) $(CFLAGS)
$(BUILD)/flags: FORCE
	$(Q)mkdir -p $(@D)
	$(Q)echo '$(subst ','\'',$(FLAGS))' | cmp -s - $@ || echo '$(subst ','\'',$(FLAGS))' >$@
FORCE:

$(BUILD)/%.o: %.c $(BUILD)/flags
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/bin/%: $(BUILD)/bin/%.o $(LIB)
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(LIB) $(LDLIBS)

# All but glibc is linked in.
$(BUILD)/bundle/bin/%: $(BUILD)/bin/%.o $(LIB)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -static-libgcc -o $@ $< $(LIB) -Wl,-Bstatic $(filter-out -lm,$(LDLIBS)) -Wl,-Bdynamic -lm

# OPTIONS comes from the tool's own --help, so that the two cannot differ.
$(BUILD)/man/%.1: bin/%.1.scd $(BUILD)/bin/% .make/man.awk .make/man-records.scd .make/man-common.scd
	$(Q)mkdir -p $(@D)
	$(Q)$(BUILD)/bin/$* --help | awk -f .make/man.awk - $< | \
	    sed -e '/^@RECORDS@$$/{r .make/man-records.scd' -e 'd}' \
	        -e '/^@COMMON@$$/{r .make/man-common.scd' -e 'd}' | SOURCE_DATE_EPOCH=0 scdoc >$@

$(BUILD)/man/medrat.7: formats/README.md .make/man-schema.awk
	$(Q)mkdir -p $(@D)
	$(Q)awk -f .make/man-schema.awk $< | SOURCE_DATE_EPOCH=0 scdoc >$@

$(COMPLETION): $(TOOLS) .make/completion.awk
	$(Q)mkdir -p $(@D)
	$(Q)for tool in $(TOOLS); do $$tool --help; done | awk -f .make/completion.awk >$@

$(BUILD)/tests/%_test: $(BUILD)/tests/%_test.o $(GOLDEN) $(LIB)
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(GOLDEN) $(LIB) -lcmocka $(LDLIBS)

$(BUILD)/tests/double/%_test: $(BUILD)/tests/double/%_test.o $(LIB)
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(LIB) -lcmocka -lm

$(GOLDEN): $(patsubst %.c,$(BUILD)/%.o,$(filter-out tests/golden/make_%,$(wildcard tests/golden/*.c)))
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $^

$(BUILD)/tests/fuzz/%_replay: $(BUILD)/tests/fuzz/%_fuzz.o $(BUILD)/tests/fuzz/replay.o $(LIB)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(LIB) $(LDLIBS)

$(BUILD)/tests/fuzz/%_fuzz: $(BUILD)/tests/fuzz/%_fuzz.o $(LIB)
	$(Q)$(CC) -fsanitize=fuzzer,address,undefined -pthread -o $@ $< $(LIB) $(LDLIBS)

$(BUILD)/tests/golden/make_%: $(BUILD)/tests/golden/make_%.o $(GOLDEN) $(LIB)
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(GOLDEN) $(LIB) $(LDLIBS)

# Without sanitizers, whose library has to be loaded first.
$(BUILD)/tests/preload/%.so: tests/preload/%.c
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=c11 $(WARNINGS) -Wno-missing-prototypes -O2 -fPIC -shared -o $@ $<

$(BUILD)/tests/bench/bench_%: $(BUILD)/tests/bench/bench_%.o $(LIB)
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(LIB) $(LDLIBS)

.PHONY: all lib demo check threaded doubles tests deps models bench bench-train bench-7b card peers torture million fuzz fuzzers coverage golden adapter install bundle uninstall format clean help
# Kept, and made again when missing: .SECONDARY would take an archive without a new file as whole.
.PRECIOUS: $(BUILD)/%.o
-include $(wildcard $(BUILD)/*/*.d $(BUILD)/*/*/*.d)
