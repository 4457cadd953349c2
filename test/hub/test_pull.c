/* hone_pull against a hub on this machine that behaves, and against one that does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/mem.h"
#include "fake_hub.h"
#include "hone/hub.h"
#include "hub/wire.h"

enum { BIG = 100000 };
static char root[] = "/tmp/hone-pull-XXXXXX", cache[64], big[BIG], other[BIG];
static const char config[] = "{\"model_type\": \"llama\"}";

static const struct fake_file config_file = {"config.json", config, sizeof config - 1,
                                             .lfs = false};
static const struct fake_file tokenizer = {"tokenizer.json", "{\"version\": \"1.0\"}", 18,
                                           .lfs = false};
static const struct fake_file weights = {"model.safetensors", big, BIG, .lfs = true};
static const struct fake_file pickle = {"pytorch_model.bin", other, BIG, .lfs = true};

static struct fake_hub model(void)
{
    return (struct fake_hub){.files = {config_file, weights, pickle, tokenizer}};
}

/* What was told of a download. */
struct told {
    int plans, files, cached, notes;
    size_t n_files;
    uint64_t total;
    uint64_t stop_at; /* stop when so many bytes are there; 0: never */
    char note[300];
};

static int listen_to(void *arg, const struct hone_pull_event *e)
{
    struct told *t = arg;
    t->plans += e->kind == HONE_PULL_PLAN;
    t->files += e->kind == HONE_PULL_FILE;
    t->cached += e->kind == HONE_PULL_FILE && e->cached;
    t->notes += e->kind == HONE_PULL_NOTE;
    if (e->kind == HONE_PULL_PLAN)
        t->n_files = e->n_files, t->total = e->total;
    if (e->kind == HONE_PULL_NOTE)
        snprintf(t->note, sizeof t->note, "%s", e->text);
    return t->stop_at && e->done >= t->stop_at;
}

static int empty_cache(void **state)
{
    char command[100];
    (void)state;
    unsetenv("HF_HUB_OFFLINE");
    unsetenv("HF_TOKEN");
    snprintf(command, sizeof command, "rm -rf '%s'", cache);
    return system(command);
}

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(root))
        return -1;
    snprintf(cache, sizeof cache, "%s/hub", root);
    setenv("HF_HOME", root, 1);
    setenv("HF_HUB_CACHE", cache, 1);
    unsetenv("HF_TOKEN_PATH");
    unsetenv("HUGGING_FACE_HUB_TOKEN");
    unsetenv("TRANSFORMERS_OFFLINE");
    setenv("no_proxy", "*", 1);
    for (size_t i = 0; i < BIG; i++) {
        big[i] = (char)(i * 2654435761u >> 13);
        other[i] = (char)(i * 40503u >> 5);
    }
    return 0;
}

static int tear_down(void **state)
{
    char command[100];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

static int pull(struct fake_hub *h, const char *name, const struct hone_pull_options *o,
                struct told *t, char **path, struct hone_err *err)
{
    struct hone_pull_options options = o ? *o : (struct hone_pull_options){0};
    options.backoff = 0.001;
    *t = (struct told){.stop_at = t->stop_at};
    setenv("HF_ENDPOINT", h->url, 1);
    *err = (struct hone_err){0};
    *path = NULL;
    return hone_pull(name, &options, listen_to, t, path, err);
}

/* It works, and the path ends so. */
static struct told get(struct fake_hub *h, const char *name, const struct hone_pull_options *o,
                       const char *end)
{
    struct told t = {0};
    struct hone_err err;
    char *path;
    if (pull(h, name, o, &t, &path, &err))
        fail_msg("%s: %s", name, err.message);
    if (!hn_ends_with(path, end))
        fail_msg("%s is at %s, not …%s", name, path, end);
    hn_free(path);
    return t;
}

/* It does not, with this code and these words. */
static void refuse(struct fake_hub *h, const char *name, const struct hone_pull_options *o,
                   int code, const char *words)
{
    struct told t = {0};
    struct hone_err err;
    char *path;
    int rc = pull(h, name, o, &t, &path, &err);
    if (rc != code || err.code != code)
        fail_msg("%s: code %d, not %d: %s", name, rc, code, err.message);
    if (!strstr(err.message, words))
        fail_msg("%s: said \"%s\", not \"%s\"", name, err.message, words);
    assert_null(path);
}

/* A path below the model's folder in the cache; blob: named by the file's digest. */
static const char *at(const char *path)
{
    static char full[400];
    snprintf(full, sizeof full, "%s/models--acme--m/%s", cache, path);
    return full;
}

static const char *blob_of(const struct fake_file *f, const char *end)
{
    static char name[100];
    char hex[HN_SHA256_HEX];
    snprintf(name, sizeof name, "blobs/%s%s", fake_digest(f, hex), end);
    return name;
}

static void is_file(const char *path, const void *data, size_t n)
{
    struct hn_buf text = {0};
    struct hone_err err = {0};
    if (hn_file_read(at(path), 1 << 20, &text, &err))
        fail_msg("%s", err.message);
    assert_int_equal(text.len, n);
    assert_memory_equal(text.data, data, n);
    hn_buf_release(&text);
}

static void put(const char *path, const void *data, size_t n)
{
    struct hone_err err = {0};
    char *full = hn_path_join(at(path), ""), *slash = strrchr(full, '/');
    *slash = 0; /* of the empty name */
    slash = strrchr(full, '/');
    *slash = 0;
    if (hn_dir_make(full, &err))
        fail_msg("%s", err.message);
    *slash = '/';
    if (hn_file_write(full, data, n, &err))
        fail_msg("%s", err.message);
    hn_free(full);
}

/* ---- a hub that behaves ---------------------------------------------------------------------- */

static void the_layout_is_the_hubs(void **state)
{
    struct fake_hub h = model();
    char target[200] = "", want[200];
    struct stat s;
    (void)state;
    fake_hub_start(&h);
    struct told t = get(&h, "acme/m", NULL, "/models--acme--m/snapshots/" FAKE_COMMIT);
    assert_int_equal(t.plans, 1);
    assert_int_equal(t.n_files, 3); /* and no pickle */
    assert_int_equal(t.files, 3);
    assert_int_equal(t.total, sizeof config - 1 + 18 + BIG);
    is_file("refs/main", FAKE_COMMIT, 40);
    is_file("snapshots/" FAKE_COMMIT "/config.json", config, sizeof config - 1);
    is_file("snapshots/" FAKE_COMMIT "/model.safetensors", big, BIG);
    is_file(blob_of(&weights, ""), big, BIG);
    is_file(blob_of(&config_file, ""), config, sizeof config - 1);
    assert_true(readlink(at("snapshots/" FAKE_COMMIT "/model.safetensors"), target, 199) > 0);
    snprintf(want, sizeof want, "../../%s", blob_of(&weights, ""));
    assert_string_equal(target, want);
    assert_int_not_equal(lstat(at("snapshots/" FAKE_COMMIT "/pytorch_model.bin"), &s), 0);
    int asked = fake_asked(&h, "GET", "/resolve/");
    assert_int_equal(asked, 3);

    t = get(&h, "acme/m", NULL, FAKE_COMMIT); /* once more: nothing is fetched */
    assert_int_equal(t.cached, 3);
    assert_int_equal(fake_asked(&h, "GET", "/resolve/"), asked);
    fake_hub_stop(&h);

    char *path = NULL;
    struct hone_err err = {0};
    assert_int_equal(hone_model_locate("acme/m", &path, &err), 0);
    hn_free(path);
}

static void a_revision_has_its_own_reference(void **state)
{
    struct fake_hub h = model();
    const struct hone_pull_options o = {.revision = "v1.0"};
    (void)state;
    fake_hub_start(&h);
    get(&h, "acme/m@refs/pr/2", NULL, FAKE_COMMIT);
    assert_int_equal(fake_asked(&h, "/revision/refs%2Fpr%2F2", ""), 1);
    is_file("refs/refs/pr/2", FAKE_COMMIT, 40);
    get(&h, "acme/m", &o, FAKE_COMMIT);
    is_file("refs/v1.0", FAKE_COMMIT, 40);
    get(&h, "acme/m@" FAKE_COMMIT, NULL, FAKE_COMMIT);
    assert_false(hn_file_exists(at("refs/" FAKE_COMMIT)));
    assert_false(hn_file_exists(at("refs/main")));
    refuse(&h, "acme/m@v2", &o, HONE_USAGE, "two revisions");
    refuse(&h, "acme/m@../x", NULL, HONE_USAGE, "expected ORG/NAME");
    refuse(&h, "nothing", NULL, HONE_USAGE, "expected ORG/NAME");
    h.revision = "main";
    refuse(&h, "acme/m@v9", NULL, HONE_NOT_FOUND, "acme/m has no revision v9");
    fake_hub_stop(&h);
}

static void shards_are_those_of_the_index(void **state)
{
    static const char index[] =
        "{\"weight_map\": {\"a\": \"model-1.safetensors\", \"b\": \"x-2.safetensors\"}}";
    struct fake_hub h = {.files = {config_file,
                                   {"model-1.safetensors", big, 5000, .lfs = true},
                                   {"model.safetensors.index.json", index, sizeof index - 1},
                                   {"model-unused.safetensors", big, 6000, .lfs = true},
                                   {"x-2.safetensors", other, 7000, .lfs = true}}};
    (void)state;
    fake_hub_start(&h);
    assert_int_equal(get(&h, "acme/m", NULL, FAKE_COMMIT).files, 4);
    is_file("snapshots/" FAKE_COMMIT "/x-2.safetensors", other, 7000);
    empty_cache(NULL);
    h.files[4].path = NULL;
    refuse(&h, "acme/m", NULL, HONE_FAILED, "names the file \"x-2.safetensors\", which is not");
    fake_hub_stop(&h);
}

static void a_gguf_is_asked_for_by_name(void **state)
{
    const char *const q4[] = {"*Q4_0*"}, *const no[] = {"*Q9*"}, *const small[] = {"*.json"};
    const struct hone_pull_options include = {.include = q4, .n_include = 1},
                                   nothing = {.include = no, .n_include = 1},
                                   without = {.include = q4,
                                              .n_include = 1,
                                              .exclude = small,
                                              .n_exclude = 1};
    struct fake_hub h = {.files = {config_file,
                                   {"m.Q4_0.gguf", big, 5000, .lfs = true},
                                   {"m.Q8_0.gguf", big, 6000, .lfs = true},
                                   {"mmproj.gguf", big, 7000, .lfs = true}}};
    (void)state;
    fake_hub_start(&h);
    refuse(&h, "acme/m", NULL, HONE_USAGE, "holds 2 GGUF files: m.Q4_0.gguf, m.Q8_0.gguf; say");
    assert_int_equal(fake_asked(&h, "/resolve/", ""), 0);
    assert_int_equal(get(&h, "acme/m", &include, "/m.Q4_0.gguf").files, 2);
    assert_int_equal(get(&h, "acme/m", &without, "/m.Q4_0.gguf").files, 1);
    refuse(&h, "acme/m", &nothing, HONE_USAGE, "none of the 4 files of acme/m matches \"*Q9*\"");
    h.files[2].path = NULL;
    empty_cache(NULL);
    get(&h, "acme/m", NULL, "/m.Q4_0.gguf"); /* the only one */
    h.files[1] = pickle;
    refuse(&h, "acme/m", NULL, HONE_FAILED, "no safetensors and no GGUF files; pytorch_model.bin");
    fake_hub_stop(&h);
}

static void other_hubs_say_less(void **state)
{
    struct fake_hub h = model();
    (void)state;
    h.page = 1; /* a page for each file */
    h.weak_tags = true;
    fake_hub_start(&h);
    assert_int_equal(get(&h, "acme/m", NULL, FAKE_COMMIT).files, 3);
    assert_int_equal(fake_asked(&h, "/tree/", ""), 4);
    empty_cache(NULL);
    h.page = 0;
    h.no_tree = true; /* sizes and digests come with the files alone */
    assert_int_equal(get(&h, "acme/m", NULL, FAKE_COMMIT).files, 3);
    empty_cache(NULL);
    h.no_tree = false;
    h.no_head = true;
    assert_int_equal(get(&h, "acme/m", NULL, FAKE_COMMIT).files, 3);
    is_file(blob_of(&weights, ""), big, BIG);
    fake_hub_stop(&h);
}

/* ---- the token --------------------------------------------------------------------------------
 */

static void the_token_stays_with_the_hub(void **state)
{
    struct fake_hub h = model(), cdn = model();
    (void)state;
    fake_hub_start(&cdn);
    h.cdn = cdn.url;
    h.token = "secret";
    fake_hub_start(&h);
    setenv("HF_TOKEN", " secret\n", 1);
    get(&h, "acme/m", NULL, FAKE_COMMIT);
    assert_int_equal(fake_asked(&h, "", " token"), fake_asked(&h, "", ""));
    assert_int_equal(fake_asked(&cdn, "GET", "/resolve/"), 1);
    assert_int_equal(fake_asked(&cdn, "", " token"), 0);
    assert_int_equal(fake_asked(&cdn, "HEAD", ""), 0);
    is_file(blob_of(&weights, ""), big, BIG); /* named by the hub's tag, not the other host's */

    empty_cache(NULL);
    h.redirect = cdn.url; /* the description too: a renamed host */
    setenv("HF_TOKEN", "secret", 1);
    get(&h, "acme/m", NULL, FAKE_COMMIT);
    assert_int_equal(fake_asked(&cdn, "", " token"), 0);
    fake_hub_stop(&h);
    fake_hub_stop(&cdn);
}

static void the_token_has_a_file(void **state)
{
    struct fake_hub h = model();
    char path[100];
    struct hone_err err = {0};
    (void)state;
    h.token = "secret";
    fake_hub_start(&h);
    refuse(&h, "acme/m", NULL, HONE_NOT_FOUND,
           "no such model, or it is private: then set HF_TOKEN");
    snprintf(path, sizeof path, "%s/token", root);
    assert_int_equal(hn_file_write(path, "secret\n", 7, &err), 0);
    get(&h, "acme/m", NULL, FAKE_COMMIT);
    unlink(path);
    setenv("HF_TOKEN", "two words", 1);
    refuse(&h, "acme/m", NULL, HONE_FAILED, "HF_TOKEN holds a character that no token has");
    fake_hub_stop(&h);
}

/* ---- what a hub refuses -----------------------------------------------------------------------
 */

static void says_why_it_is_refused(void **state)
{
    struct fake_hub h = model();
    (void)state;
    fake_hub_start(&h);
    h.refuse = 401, h.error_code = "RepoNotFound";
    refuse(&h, "acme/m", NULL, HONE_NOT_FOUND, "no such model, or it is private: then set");
    h.error_code = "GatedRepo";
    refuse(&h, "acme/m", NULL, HONE_FAILED, "acme/m is gated: accept its terms at http");
    h.refuse = 403;
    setenv("HF_TOKEN", "secret", 1);
    refuse(&h, "acme/m", NULL, HONE_FAILED, "the account of the token in HF_TOKEN has no access");
    h.error_code = NULL;
    refuse(&h, "acme/m", NULL, HONE_FAILED, "see that the token is right");
    h.refuse = 404;
    refuse(&h, "acme/m", NULL, HONE_NOT_FOUND, "has no such model, or it is private and the");
    h.refuse = 500;
    refuse(&h, "acme/m", NULL, HONE_FAILED, "answered with status 500");
    assert_true(fake_asked(&h, "/revision/", "") > 6); /* tried again */
    h.refuse = 0;
    h.refuse_file = 404, h.refusals = -1;
    refuse(&h, "acme/m", NULL, HONE_NOT_FOUND, "no such model, or it is private");
    fake_hub_stop(&h);
}

static void a_listing_is_not_trusted(void **state)
{
    static const struct {
        const char *listing, *tree, *words;
    } cases[] = {
        {"<html>", NULL, "the hub's listing of acme/m is no JSON: line 1, column 1"},
        {"{}", NULL, "names no commit of acme/m"},
        {"{\"sha\": \"../../x\"}", NULL, "names \"../../x\" as the commit"},
        {NULL, "{}", "is an object, expected an array"},
        {NULL, "[{\"type\": \"file\"}]", "holds an object without a name"},
        {NULL, "[{\"path\": \"../x.json\"}]", "\"../x.json\", which could be written outside"},
        {NULL, "[{\"path\": \"/etc/x.json\"}]", "could be written outside"},
        {NULL, "[{\"path\": \"a/../../x.json\"}]", "could be written outside"},
        {NULL, "[{\"path\": \"a\\u0000b.json\"}]", "could be written outside"},
        {NULL, "[{\"path\": \"a\\nb.json\"}]", "could be written outside"},
        {NULL, "[]", "acme/m holds nothing that hone reads"},
    };
    struct fake_hub h = model();
    (void)state;
    fake_hub_start(&h);
    for (size_t i = 0; i < HN_COUNT(cases); i++) {
        h.listing = cases[i].listing;
        h.tree = cases[i].tree;
        refuse(&h, "acme/m", NULL, HONE_FAILED, cases[i].words);
    }
    assert_false(hn_dir_exists(at("snapshots")));
    h.listing = h.tree = NULL;
    h.redirect = h.url; /* round and round */
    refuse(&h, "acme/m", NULL, HONE_FAILED, "redirects more than 10 times");
    h.redirect = "file:///etc/passwd#";
    refuse(&h, "acme/m", NULL, HONE_FAILED, "which is no web address");
    fake_hub_stop(&h);
    setenv("HF_ENDPOINT", "huggingface.co", 1);
    snprintf(h.url, sizeof h.url, "huggingface.co");
    refuse(&h, "acme/m", NULL, HONE_FAILED, "expected an address that begins with https://");
}

/* ---- what goes wrong on the way ---------------------------------------------------------------
 */

static void goes_on_where_it_was_cut(void **state)
{
    struct fake_hub h = model();
    (void)state;
    h.cut = 40000, h.cuts = 2;
    fake_hub_start(&h);
    struct told t = get(&h, "acme/m", NULL, FAKE_COMMIT);
    assert_int_equal(t.notes, 2);
    is_file(blob_of(&weights, ""), big, BIG);
    assert_int_equal(fake_asked(&h, "from=40000", ""), 1);
    assert_int_equal(fake_asked(&h, "from=80000", ""), 1);
    empty_cache(NULL);
    h.cut = 0, h.cuts = -1; /* nothing comes, ever */
    refuse(&h, "acme/m", NULL, HONE_FAILED, "was cut 6 times");
    h.cuts = 0;
    h.refuse_file = 503, h.refusals = 2;
    get(&h, "acme/m", NULL, FAKE_COMMIT);
    fake_hub_stop(&h);
}

static void goes_on_where_it_was_stopped(void **state)
{
    struct fake_hub h = model();
    struct told t = {.stop_at = 30000};
    struct hone_err err;
    char *path;
    (void)state;
    h.slow_ms = 20;
    fake_hub_start(&h);
    assert_int_equal(pull(&h, "acme/m", NULL, &t, &path, &err), HONE_INTERRUPTED);
    assert_non_null(strstr(err.message, "of model.safetensors are kept; hone pull acme/m goes on"));
    int64_t kept = hn_file_size(at(blob_of(&weights, ".incomplete")));
    assert_true(kept > 0 && kept < BIG);
    assert_int_equal(hone_model_locate("acme/m", &path, &err), HONE_NOT_FOUND);
    h.slow_ms = 0;
    get(&h, "acme/m", NULL, FAKE_COMMIT);
    char range[40];
    snprintf(range, sizeof range, "from=%lld", (long long)kept);
    assert_int_equal(fake_asked(&h, range, "model.safetensors"), 1);
    is_file(blob_of(&weights, ""), big, BIG);
    assert_int_equal(hn_file_size(at(blob_of(&weights, ".incomplete"))), -1);
    fake_hub_stop(&h);
}

static void servers_without_ranges(void **state)
{
    struct fake_hub h = model();
    (void)state;
    fake_hub_start(&h);
    put(blob_of(&weights, ".incomplete"), big, 30000);
    h.no_ranges = true;
    struct told t = get(&h, "acme/m", NULL, FAKE_COMMIT);
    assert_non_null(strstr(t.note, "does not continue files; from its beginning"));
    is_file(blob_of(&weights, ""), big, BIG);
    empty_cache(NULL);
    put(blob_of(&weights, ".incomplete"), big, 30000);
    h.no_ranges = false, h.wrong_range = true; /* it begins elsewhere than was asked */
    get(&h, "acme/m", NULL, FAKE_COMMIT);
    is_file(blob_of(&weights, ""), big, BIG);
    fake_hub_stop(&h);
}

static void damage_is_found(void **state)
{
    struct fake_hub h = model();
    (void)state;
    h.corrupt = true;
    fake_hub_start(&h);
    refuse(&h, "acme/m", NULL, HONE_FAILED, "config.json: its git SHA-1 is ");
    h.corrupt = false;
    h.files[1].digest = "0000000000000000000000000000000000000000000000000000000000000abc";
    refuse(&h, "acme/m", NULL, HONE_FAILED, "model.safetensors: its SHA-256 is ");
    assert_false(hn_file_exists(at("snapshots/" FAKE_COMMIT "/model.safetensors")));
    assert_false(hn_file_exists(at(blob_of(&h.files[1], ""))));
    assert_false(hn_file_exists(at(blob_of(&h.files[1], ".incomplete"))));
    assert_false(hn_file_exists(at("refs/main")));
    h.files[1].digest = NULL;
    put(blob_of(&weights, ".incomplete"), other, 50000); /* the beginning of something else */
    struct told t = get(&h, "acme/m", NULL, FAKE_COMMIT);
    assert_non_null(strstr(t.note, "the part of an earlier download was damaged"));
    is_file(blob_of(&weights, ""), big, BIG);
    empty_cache(NULL);
    put(blob_of(&weights, ".incomplete"), other, BIG); /* as long as the whole, */
    get(&h, "acme/m", NULL, FAKE_COMMIT);
    is_file(blob_of(&weights, ""), big, BIG);
    empty_cache(NULL);
    h.files[1].listed = BIG + 7;
    refuse(&h, "acme/m", NULL, HONE_FAILED, "no bytes from 100000 on, and the hub lists 100007");
    h.files[1].listed = BIG - 7;
    refuse(&h, "acme/m", NULL, HONE_FAILED, "more than the 99993 bytes that were announced");
    h.files[1].listed = 0;
    empty_cache(NULL);
    h.extra = 5;
    refuse(&h, "acme/m", NULL, HONE_FAILED, "sends more than the 23 bytes that were announced");
    fake_hub_stop(&h);
}

static void a_full_disk(void **state)
{
    struct fake_hub h = model();
    struct rlimit old, limit;
    (void)state;
    fake_hub_start(&h);
    h.files[1].listed = 1000000000000000000; /* an exabyte */
    refuse(&h, "acme/m", NULL, HONE_FAILED, "acme/m needs 1000000000.00 GB, and ");
    assert_int_equal(fake_asked(&h, "/resolve/", ""), 0);
    h.files[1].listed = 0;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    limit = old;
    limit.rlim_cur = 60000; /* the file system takes no more of a file */
    setrlimit(RLIMIT_FSIZE, &limit);
    refuse(&h, "acme/m", NULL, HONE_FAILED, "what has come is kept, and the same command goes on");
    setrlimit(RLIMIT_FSIZE, &old);
    get(&h, "acme/m", NULL, FAKE_COMMIT);
    assert_int_equal(fake_asked(&h, "from=60000", ""), 1);
    is_file(blob_of(&weights, ""), big, BIG);
    fake_hub_stop(&h);
}

static void without_a_hub(void **state)
{
    struct fake_hub h = model();
    (void)state;
    fake_hub_start(&h);
    setenv("HF_HUB_OFFLINE", "1", 1);
    refuse(&h, "acme/m", NULL, HONE_NOT_FOUND,
           "HF_HUB_OFFLINE is set: without it, hone pull acme/m gets it");
    unsetenv("HF_HUB_OFFLINE");
    get(&h, "acme/m", NULL, FAKE_COMMIT);
    int asked = fake_asked(&h, "", "");
    setenv("HF_HUB_OFFLINE", "1", 1);
    struct told t = get(&h, "acme/m", NULL, FAKE_COMMIT);
    assert_string_equal(t.note, "HF_HUB_OFFLINE is set; the copy in the cache is used");
    assert_int_equal(fake_asked(&h, "", ""), asked);
    unsetenv("HF_HUB_OFFLINE");
    fake_hub_stop(&h);
    t = get(&h, "acme/m", NULL, FAKE_COMMIT);
    assert_string_equal(t.note, "the hub cannot be reached; the copy in the cache is used");
    refuse(&h, "acme/n", NULL, HONE_NOT_FOUND, "did you mean acme/m?");
    refuse(&h, "acme/n", NULL, HONE_NOT_FOUND, "cannot be reached (");
}

/* ---- two at once ------------------------------------------------------------------------------
 */

static void two_at_once_fetch_once(void **state)
{
    struct fake_hub h = model();
    pid_t child[2];
    (void)state;
    h.slow_ms = 10;
    fake_hub_start(&h);
    for (int i = 0; i < 2; i++) {
        child[i] = fork();
        if (child[i] == 0) {
            struct told t = {0};
            struct hone_err err;
            char *path;
            _exit(pull(&h, "acme/m", NULL, &t, &path, &err) ? 1 : 0);
        }
    }
    for (int i = 0; i < 2; i++) {
        int status = -1;
        assert_int_equal(waitpid(child[i], &status, 0), child[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(fake_asked(&h, "GET", "model.safetensors"), 1);
    is_file(blob_of(&weights, ""), big, BIG);
    fake_hub_stop(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_layout_is_the_hubs, empty_cache),
        cmocka_unit_test_setup(a_revision_has_its_own_reference, empty_cache),
        cmocka_unit_test_setup(shards_are_those_of_the_index, empty_cache),
        cmocka_unit_test_setup(a_gguf_is_asked_for_by_name, empty_cache),
        cmocka_unit_test_setup(other_hubs_say_less, empty_cache),
        cmocka_unit_test_setup(the_token_stays_with_the_hub, empty_cache),
        cmocka_unit_test_setup(the_token_has_a_file, empty_cache),
        cmocka_unit_test_setup(says_why_it_is_refused, empty_cache),
        cmocka_unit_test_setup(a_listing_is_not_trusted, empty_cache),
        cmocka_unit_test_setup(goes_on_where_it_was_cut, empty_cache),
        cmocka_unit_test_setup(goes_on_where_it_was_stopped, empty_cache),
        cmocka_unit_test_setup(servers_without_ranges, empty_cache),
        cmocka_unit_test_setup(damage_is_found, empty_cache),
        cmocka_unit_test_setup(a_full_disk, empty_cache),
        cmocka_unit_test_setup(without_a_hub, empty_cache),
        cmocka_unit_test_setup(two_at_once_fetch_once, empty_cache),
    };
    struct hn_wire *wire = NULL;
    struct hone_err err = {0};
    if (hn_wire_open(&wire, &err)) { /* a hone without libcurl pulls nothing */
        print_message("[  SKIPPED ] %s\n", err.message);
        return strstr(err.message, "without libcurl") ? 0 : 1;
    }
    hn_wire_close(&wire);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
