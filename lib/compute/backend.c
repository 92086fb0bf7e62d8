#include "compute/backend.h"

#include <string.h>

static const struct backend *const backends[] = {&backend_cpu};

const struct backend *backend_find(const char *name, struct status *status)
{
    for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
        if (strcmp(backends[i]->name, name) == 0)
            return backends[i];
    }
    status_set(status, STATUS_DEVICE, "no device '%s': this build has 'cpu'", name);
    return NULL;
}
