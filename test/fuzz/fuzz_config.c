/* Config files from hostile hands: whatever the bytes, one sentence, or settings that survive being
 * written and read again. */
#include <string.h>

#include "base/compiler.h"
#include "conf/config_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hn_conf first, second;
    struct hn_buf once = {0}, twice = {0};
    struct hone_err err = {0};
    HN_ASSERT(hn_conf_init(&first, HN_TRAIN, 0, NULL, &err) == 0);
    int rc = hn_config_parse(&first, "fuzz.yaml", (const char *)data, size, &err);
    if (rc) {
        HN_ASSERT(err.message[0] && !strchr(err.message, '\n'));
    } else {
        hn_config_write(&first, &once);
        HN_ASSERT(hn_conf_init(&second, HN_TRAIN, 0, NULL, &err) == 0);
        HN_ASSERT(hn_config_parse(&second, "again.yaml", hn_buf_str(&once), once.len, &err) == 0);
        hn_config_write(&second, &twice);
        HN_ASSERT(strcmp(hn_buf_str(&once), hn_buf_str(&twice)) == 0);
        hn_conf_release(&second);
    }
    hn_buf_release(&once);
    hn_buf_release(&twice);
    hn_conf_release(&first);
    return 0;
}
