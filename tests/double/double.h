/* Read before everything else by config=double: "float" is double from here on, so that the scalar
 * set computes in double, and finite differences of what it computes are exact to many digits.
 * System headers come first: they mean what they say. Vector sets are left out. */
#ifndef DOUBLE_DOUBLE_H
#define DOUBLE_DOUBLE_H

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#undef __x86_64__
#define float double
#define sqrtf sqrt
#define fabsf fabs
#define fmaf fma
#define lrintf lrint

#endif
