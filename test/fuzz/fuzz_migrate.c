/* Scripts, notebooks and configs from hostile hands: one sentence, or settings that hone train
 * takes. The first byte says what the file is called. */
#include <string.h>

#include "base/compiler.h"
#include "conf/config_file.h"
#include "hone/migrate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"x.py", "x.ipynb", "x.json", "x.yaml", "x.sh"};
    struct hone_migration *m = NULL;
    struct hone_err err = {0};
    if (size == 0)
        return 0;
    if (hone_migrate_parse(&m, names[data[0] % HN_COUNT(names)], (const char *)data + 1, size - 1,
                           &err)) {
        HN_ASSERT(err.message[0] && !strchr(err.message, '\n') && !m);
        return 0;
    }
    struct hn_conf conf;
    HN_ASSERT(hn_conf_init(&conf, HN_TRAIN, 0, NULL, &err) == 0);
    HN_ASSERT(hn_config_parse(&conf, "train.yaml", m->yaml, strlen(m->yaml), &err) == 0);
    hn_conf_release(&conf);
    hone_migrate_close(&m);
    return 0;
}
