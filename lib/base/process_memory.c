#include "base/process_memory.h"

#include <stdio.h>
#include <unistd.h>

size_t process_memory_resident(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long pages = 0;

    if (!file)
        return 0;
    if (fscanf(file, "%*u %lu", &pages) != 1)
        pages = 0;
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

size_t process_memory_available(void)
{
    FILE *file = fopen("/proc/meminfo", "r");
    unsigned long kib = 0;
    char line[128];

    if (!file)
        return 0;
    while (fgets(line, sizeof(line), file) && sscanf(line, "MemAvailable: %lu kB", &kib) != 1)
        ;
    fclose(file);
    return (size_t)kib * 1024;
}
