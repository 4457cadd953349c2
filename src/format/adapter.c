#include "format/adapter.h"
#include "base/file.h"
#include "base/mem.h"

bool hn_adapter_is_dir(const char *path)
{
    char *config = hn_path_join(path, "adapter_config.json");
    char *model = hn_path_join(path, "config.json");
    bool yes = config && model && hn_file_exists(config) && !hn_file_exists(model);
    hn_free(config);
    hn_free(model);
    return yes;
}
