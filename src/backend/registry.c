/* The backends that are built in, the best first. */
#include "backend/backend.h"

#include <string.h>

const struct hn_backend *hn_backend_find(const char *name)
{
    static const struct hn_backend *const built_in[] = {&hn_backend_cpu};
    for (size_t i = 0; i < HN_COUNT(built_in); i++)
        if (!name || strcmp(name, "auto") == 0 || strcmp(name, built_in[i]->name) == 0)
            return built_in[i];
    return NULL;
}
