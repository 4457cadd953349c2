/* hone_model_locate: local paths, snapshots of the cache, and the words when there is nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "hone/hub.h"

static char root[] = "/tmp/hone-locate-XXXXXX";

static void put(const char *path, const char *text)
{
    struct hone_err err = {0};
    char full[300], *slash;
    snprintf(full, sizeof full, "%s/%s", root, path);
    slash = strrchr(full, '/');
    *slash = 0;
    if (hn_dir_make(full, &err))
        fail_msg("%s", err.message);
    *slash = '/';
    if (hn_file_write(full, text, strlen(text), &err))
        fail_msg("%s", err.message);
}

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(root))
        return -1;
    char cache[300];
    snprintf(cache, sizeof cache, "%s/hub", root);
    setenv("HF_HUB_CACHE", cache, 1);
    put("hub/models--acme--whole/refs/main", "0a1b\n");
    put("hub/models--acme--whole/snapshots/0a1b/config.json", "{}");
    put("hub/models--acme--whole/snapshots/0a1b/model.safetensors", "x");
    put("hub/models--acme--one-gguf/snapshots/ff/m.Q4_0.gguf", "x");
    put("hub/models--acme--two/refs/main", "aa");
    put("hub/models--acme--two/snapshots/aa/a.gguf", "x");
    put("hub/models--acme--two/snapshots/aa/b.gguf", "x");
    put("hub/models--acme--odd/refs/main", "../../../etc");
    put("hub/models--acme--gone/refs/main", "bb");
    put("local/config.json", "{}");
    put("folder/m.gguf", "x");
    put("folder/README.md", "x");
    put("empty/README.md", "x");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

static void find(const char *name, const char *end)
{
    char *path = NULL;
    struct hone_err err = {0};
    if (hone_model_locate(name, &path, &err))
        fail_msg("%s: %s", name, err.message);
    if (!hn_ends_with(path, end))
        fail_msg("%s is %s", name, path);
    hn_free(path);
}

static void refuse(const char *name, const char *message)
{
    char *path = NULL;
    struct hone_err err = {0};
    if (!hone_model_locate(name, &path, &err))
        fail_msg("%s was found at %s", name, path);
    if (!strstr(err.message, message))
        fail_msg("%s: said \"%s\", not \"%s\"", name, err.message, message);
}

static void finds_what_is_there(void **state)
{
    (void)state;
    char local[300];
    snprintf(local, sizeof local, "%s/local", root);
    find(local, "/local");
    snprintf(local, sizeof local, "%s/folder", root);
    find(local, "/folder/m.gguf");
    snprintf(local, sizeof local, "%s/empty", root);
    find(local, "/empty");
    find("acme/whole", "/models--acme--whole/snapshots/0a1b");
    find("acme/one-gguf", "/snapshots/ff/m.Q4_0.gguf");
}

static void says_what_is_not(void **state)
{
    (void)state;
    refuse("acme/whale", "did you mean acme/whole?");
    refuse("other/thing-entirely", "hone pull other/thing-entirely");
    refuse("acme/two", "holds no config.json and 2 .gguf files; give the path");
    refuse("acme/odd", "should hold the hash of a commit");
    refuse("acme/gone", "snapshots/bb is not in the cache; hone pull acme/gone gets it");
    refuse("no/such/path.gguf", "there is no such folder or .gguf file");
    assert_int_equal(mkdir("one-model", 0700), 0);
    refuse("one-modle", "(did you mean one-model?)");
    refuse("./one-mdel", "(did you mean ./one-model?)");
    assert_int_equal(rmdir("one-model"), 0);
    refuse("../x", "there is no such folder or .gguf file");
    refuse("", "there is no such folder or .gguf file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_is_there),
        cmocka_unit_test(says_what_is_not),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
