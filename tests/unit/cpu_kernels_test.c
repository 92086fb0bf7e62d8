/* The kernel set is chosen by the CPU or by name, and a name that means nothing is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compute/backend.h"
#include "cpu/cpu_kernels.h"

static void picks_the_fastest_set_unless_one_is_named(void **state)
{
    const struct cpu_kernels *fastest = NULL;
    struct status status = {0};

    (void)state;
    for (int i = 0; cpu_kernel_sets[i].kernels; i++) {
        const struct cpu_kernels *kernels = cpu_kernel_sets[i].kernels;

        if (cpu_kernel_sets[i].supported()) {
            fastest = fastest ? fastest : kernels;
            assert_ptr_equal(cpu_kernels_pick(kernels->name, &status), kernels);
        } else {
            assert_null(cpu_kernels_pick(kernels->name, &status));
            assert_int_equal(status.code, STATUS_CONFIG);
        }
    }
    assert_ptr_equal(cpu_kernels_pick(NULL, &status), fastest);
    assert_ptr_equal(cpu_kernels_pick("", &status), fastest);
    assert_ptr_equal(cpu_kernels_pick("scalar", &status), &cpu_kernels_scalar);
}

static void refuses_a_set_that_does_not_exist(void **state)
{
    const struct device_options options = {1};
    struct status status = {0};

    (void)state;
    setenv("MEDRAT_KERNELS", "avx3", 1);
    assert_null(backend_cpu.open(&options, &status));
    unsetenv("MEDRAT_KERNELS");
    assert_int_equal(status.code, STATUS_CONFIG);
    assert_int_equal(status_exit_code(status.code), 78);
    assert_non_null(strstr(status.message, "'avx3'"));
}

static void describes_set_and_threads(void **state)
{
    const struct device_options options = {2};
    struct status status = {0};
    struct device *device;

    (void)state;
    setenv("MEDRAT_KERNELS", "scalar", 1);
    device = backend_cpu.open(&options, &status);
    unsetenv("MEDRAT_KERNELS");
    assert_non_null(device);
    assert_string_equal(backend_cpu.describe(device), "scalar, 2 threads");
    backend_cpu.close(device);
}

static void refuses_a_device_that_is_not_built_in(void **state)
{
    struct status status = {0};

    (void)state;
    assert_ptr_equal(backend_find("cpu", &status), &backend_cpu);
    assert_null(backend_find("cuda", &status));
    assert_int_equal(status.code, STATUS_DEVICE);
    assert_non_null(strstr(status.message, "'cuda'"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(picks_the_fastest_set_unless_one_is_named),
        cmocka_unit_test(refuses_a_set_that_does_not_exist),
        cmocka_unit_test(describes_set_and_threads),
        cmocka_unit_test(refuses_a_device_that_is_not_built_in),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
