/* The files of a data folder by the names that people give them. */
#include "base/file.h"
#include "base/mem.h"
#include "hone/data.h"

#include <stdio.h>
#include <string.h>

int hone_data_find(const char *data, const char *split, char **path, struct hone_err *err)
{
    static const char *const ends[] = {"jsonl", "json", "csv", "tsv"};
    static const char *const valid[] = {"valid", "validation", "val", "dev", NULL};
    const char *const only[] = {split, NULL};
    if (!hn_dir_exists(data)) {
        *path = hn_dup(data, strlen(data));
        return *path ? 0 : hn_fail_memory(err, "looking for data");
    }
    const char *const *stems = strcmp(split, "valid") == 0 ? valid : only;
    for (size_t s = 0; stems[s]; s++) {
        for (size_t i = 0; i < HN_COUNT(ends); i++) {
            char name[64];
            snprintf(name, sizeof name, "%s.%s", stems[s], ends[i]);
            char *file = hn_path_join(data, name);
            if (!file)
                return hn_fail_memory(err, "looking for data");
            if (hn_file_exists(file)) {
                *path = file;
                return 0;
            }
            hn_free(file);
        }
    }
    return hn_fail(err, HONE_NOT_FOUND,
                   "%s has no %s.jsonl (nor %s.json, .csv or .tsv); --data takes a folder with "
                   "train.jsonl (and valid.jsonl, test.jsonl), or one file of rows",
                   data, split, split);
}
