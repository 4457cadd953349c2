#include "cli/pytorch.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/json.h"
#include "base/os.h"
#include "base/str.h"

/* pytorch_side.py, put here by cmake/embed.cmake. */
extern const char hn_pytorch_script[];

enum { CHECK_SECONDS = 60 };

static int no_line(void *arg, const char *line, size_t n, struct hone_err *err)
{
    (void)arg;
    (void)line;
    (void)n;
    (void)err;
    return 0;
}

/* A temporary file that holds p[n]; -1 with err filled. */
static int file_of(const char *p, size_t n, struct hone_err *err)
{
    int fd = hn_temp_file(err);
    while (fd >= 0 && n) {
        ssize_t written = write(fd, p, n);
        if (written <= 0) {
            (void)hn_fail(err, HONE_FAILED, "cannot write a temporary file");
            close(fd);
            return -1;
        }
        p += written;
        n -= (size_t)written;
    }
    return fd;
}

int hn_pytorch_check(const struct hn_settings *set, bool peft, const char *quantization,
                     struct hone_err *err)
{
    static const char script[] =
        "import importlib.util as u, sys\n"
        "lost = [m for m in sys.argv[1:] if u.find_spec(m) is None]\n"
        "if lost: sys.exit('it lacks ' + ', '.join(lost) + "
        "' (install with: ' + sys.executable + ' -m pip install ' + ' '.join(lost) + ')')\n";
    char *argv[8] = {(char *)(uintptr_t)set->pytorch, "-", "torch", "transformers"};
    size_t n = 4;
    if (peft)
        argv[n++] = "peft";
    if (quantization && hn_starts_with(quantization, "bitsandbytes")) {
        argv[n++] = "bitsandbytes";
        argv[n++] = "accelerate";
    }
    struct hn_child c;
    int input = file_of(script, sizeof script - 1, err);
    if (input < 0)
        return HONE_FAILED;
    int rc = hn_child_run(&c, "the Python of --pytorch", argv, input, err);
    if (!rc)
        rc = hn_child_wait(&c, CHECK_SECONDS, no_line, NULL, err);
    close(input);
    return rc;
}

static void write_lora(struct hn_json_writer *w, const struct hn_settings *set)
{
    const struct hone_train_options *t = &set->train;
    hn_jw_put_int(w, "steps", set->compare_train_steps);
    hn_jw_put_int(w, "rank", t->lora_rank);
    hn_jw_put_double(w, "alpha", t->lora_alpha);
    hn_jw_put_double(w, "dropout", t->lora_dropout);
    hn_jw_put_bool(w, "rslora", t->use_rslora);
    hn_jw_put_double(w, "learning_rate", t->learning_rate);
    hn_jw_put_bool(w, "checkpointing", t->grad_checkpoint == HONE_CHECKPOINT_BLOCKS);
    hn_jw_key(w, "targets");
    if (t->n_target_modules == 1 && strcmp(t->target_modules[0], "all-linear") == 0) {
        hn_jw_str(w, "all-linear");
        return;
    }
    hn_jw_open(w, '[');
    for (size_t i = 0; i < t->n_target_modules; i++)
        hn_jw_str(w, t->target_modules[i]);
    hn_jw_close(w, ']');
}

static void write_request(struct hn_buf *out, const struct hn_settings *set,
                          enum hn_pytorch_task task, const struct hone_compare_side *side,
                          const char *logits_path)
{
    struct hn_json_writer w;
    hn_jw_init(&w, out, -1);
    hn_jw_open(&w, '{');
    hn_side_write(&w, side, true);
    hn_jw_put_str(&w, "task", task == HN_PYTORCH_TRAIN ? "train" : "measure");
    hn_jw_put_str(&w, "dtype", set->pytorch_dtype);
    hn_jw_put_str(&w, "device", set->pytorch_device);
    hn_jw_put_int(&w, "threads", set->device.n_threads);
    hn_jw_put_int(&w, "prompt_tokens", set->bench.prompt_tokens);
    hn_jw_put_int(&w, "generation_tokens", set->bench.generation_tokens);
    write_lora(&w, set);
    if (logits_path)
        hn_jw_put_str(&w, "logits", logits_path);
    hn_jw_put_double(&w, "started", hn_now());
    hn_jw_close(&w, '}');
}

int hn_pytorch_start(struct hn_child *c, const struct hn_settings *set, enum hn_pytorch_task task,
                     const struct hone_compare_side *side, const char *logits_path,
                     struct hone_err *err)
{
    struct hn_buf text = {0};
    char path[32];
    write_request(&text, set, task, side, logits_path);
    int rc = text.failed ? hn_fail_memory(err, "asking PyTorch") : 0;
    int request = rc ? -1 : file_of(hn_buf_str(&text), text.len, err);
    int input = request < 0 ? -1 : file_of(hn_pytorch_script, strlen(hn_pytorch_script), err);
    hn_buf_release(&text);
    if (request >= 0)
        hn_fd_path(request, path);
    char *argv[] = {(char *)(uintptr_t)set->pytorch, "-", path, NULL};
    rc = input < 0 ? HONE_FAILED : hn_child_run(c, "PyTorch", argv, input, err);
    if (request >= 0)
        close(request);
    if (input >= 0)
        close(input);
    return rc;
}
