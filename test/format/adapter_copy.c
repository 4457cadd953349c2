/* For tools/check_adapter_peers.py: read an adapter and write it again, or dump what was read.
 *     adapter_copy dump FROM          per module a line "path rank in out scale", then A and B raw
 *     adapter_copy copy FROM TO L     as an adapter of a model with L blocks */
#include "format/adapter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void dump(const struct hn_adapter_file *f)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct hn_adapter_module *m = &f->modules[i];
        printf("%s %lld %lld %lld %.17g\n", m->path, (long long)m->rank, (long long)m->in,
               (long long)m->out, m->scale);
        fwrite(m->a, sizeof(float), (size_t)(m->rank * m->in), stdout);
        fwrite(m->b, sizeof(float), (size_t)(m->out * m->rank), stdout);
    }
}

int main(int argc, char **argv)
{
    struct hn_adapter_file f;
    struct hone_err err = {0};
    if (argc < 3 || (strcmp(argv[1], "dump") != 0 && argc != 5))
        return 2;
    int rc = hn_adapter_read(&f, argv[2], &err);
    if (!rc && argc == 3)
        dump(&f);
    if (!rc && argc == 5) {
        struct hn_adapter_spec spec = {.modules = f.modules,
                                       .n = f.n,
                                       .base_model = f.base_model,
                                       .alpha = f.alpha,
                                       .dropout = f.dropout,
                                       .use_rslora = f.use_rslora,
                                       .model_layers = strtol(argv[4], NULL, 10),
                                       .num_layers = -1,
                                       .config = f.config};
        rc = hn_adapter_write(argv[3], &spec, &err);
    }
    hn_adapter_release(&f);
    if (rc)
        fprintf(stderr, "%s\n", err.message);
    return rc ? 1 : 0;
}
