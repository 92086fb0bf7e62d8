/* JSON for people, as Python lays it out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/json_indent.h"

static void lays_out_as_python_does(void **state)
{
    /* json.dumps(json.loads(in), indent=2) */
    static const char in[] = "{\"a\":1.50,\"b\":{},\"c\":[],\"d\":[1,[2,\"x\"],{\"e\":null}],\"f\":"
                             "\"a,b:{[\\\"]}\\\\\"}";
    static const char out[] = "{\n"
                              "  \"a\": 1.50,\n"
                              "  \"b\": {},\n"
                              "  \"c\": [],\n"
                              "  \"d\": [\n"
                              "    1,\n"
                              "    [\n"
                              "      2,\n"
                              "      \"x\"\n"
                              "    ],\n"
                              "    {\n"
                              "      \"e\": null\n"
                              "    }\n"
                              "  ],\n"
                              "  \"f\": \"a,b:{[\\\"]}\\\\\"\n"
                              "}\n";
    struct buf indented = {0};

    (void)state;
    json_indent(text_of(in), &indented);
    assert_string_equal(indented.data, out);
    buf_release(&indented);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lays_out_as_python_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
