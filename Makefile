# medrat: `make help` lists the targets, README.md explains them.

config ?= release
BUILD ?= build/$(config)
CC ?= gcc

CFLAGS_release = -O2 -g
CFLAGS_debug = -O0 -g
CFLAGS_sanitize = -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
CFLAGS_tsan = -O1 -g -fsanitize=thread
CFLAGS_coverage = -O0 -g --coverage
ifeq ($(CFLAGS_$(config)),)
$(error config=$(config) is not one of: release debug sanitize tsan coverage)
endif

WARNINGS = -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
    -Wpointer-arith -Wwrite-strings -Wdouble-promotion -Wvla
# -ffp-contract=off: a sum is what the source says, on every compiler (decision "one result").
CFLAGS += -std=c11 $(WARNINGS) $(CFLAGS_$(config)) -ffp-contract=off -pthread
CPPFLAGS += -D_POSIX_C_SOURCE=200809L -Ilib -I. -DMEDRAT_SOURCE_SHARE='"$(CURDIR)/formats"'
LDFLAGS += $(filter -fsanitize=% --coverage,$(CFLAGS_$(config))) -pthread
LDLIBS += -ljansson -lyaml -lutf8proc -lpcre2-8 -lz -lm

LIB_SRC = $(wildcard formats/*.c lib/*/*.c)
LIB_OBJ = $(LIB_SRC:%.c=$(BUILD)/%.o)
LIB = $(BUILD)/libmedrat.a
TOOLS = $(patsubst bin/%.c,$(BUILD)/bin/%,$(wildcard bin/medrat-*.c))
UNIT_TESTS = $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/*_test.c tests/op/*_test.c))

V ?= 0
Q = $(if $(filter 1,$(V)),,@)

## all: build the tools into build/$(config)/bin
all: $(TOOLS)

## lib: build libmedrat.a alone
lib: $(LIB)

$(LIB): $(LIB_OBJ)
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $^

# The file's name is its licence to use the instruction set; nothing else may.
$(BUILD)/%_avx2.o: CFLAGS += -mavx2 -mfma -mf16c

$(BUILD)/%.o: %.c
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/bin/%: $(BUILD)/bin/%.o $(LIB)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(LIB) $(LDLIBS)

$(BUILD)/tests/%_test: $(BUILD)/tests/%_test.o $(LIB)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(LIB) -lcmocka $(LDLIBS)

## unit: build the C tests
unit: $(UNIT_TESTS)

## format: clang-format over the tree
format:
	$(Q)git ls-files '*.c' '*.h' | xargs clang-format -i

## help: this list
help:
	$(Q)sed -n 's/^## //p' $(MAKEFILE_LIST)

clean:
	$(Q)rm -rf build

.PHONY: all lib unit format help clean
.SECONDARY:
-include $(LIB_OBJ:.o=.d) $(wildcard $(BUILD)/bin/*.d $(BUILD)/tests/*/*.d)
