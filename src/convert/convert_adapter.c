/* An adapter in one system's layout or the other's. */
#include "base/err.h"
#include "convert/out_place.h"
#include "format/adapter.h"
#include "hone/convert.h"

int hone_convert_adapter(const char *path, const char *output, enum hone_adapter_layout to,
                         bool overwrite, struct hone_err *err)
{
    struct hn_adapter_file f;
    struct hn_out_place place;
    int rc = hn_adapter_read(&f, path, err);
    if (rc)
        return rc;
    if (f.full) {
        hn_adapter_release(&f);
        return hn_fail(err, HONE_USAGE,
                       "%s holds whole weights (fine_tune_type full), which are no adapter in "
                       "PEFT's layout; hone fuse makes a model of them",
                       path);
    }
    rc = hn_out_place_open(&place, output, true, "adapter_config.json", path, overwrite, err);
    if (rc) {
        hn_adapter_release(&f);
        return rc;
    }
    struct hn_adapter_spec spec = {.modules = f.modules,
                                   .n = f.n,
                                   .base_model = f.base_model,
                                   .alpha = f.alpha,
                                   .dropout = f.dropout,
                                   .use_rslora = f.use_rslora,
                                   .use_dora = f.use_dora,
                                   .num_layers = f.num_layers,
                                   .no_mlx = to == HONE_ADAPTER_PEFT,
                                   .no_peft = to == HONE_ADAPTER_MLX,
                                   .config = f.config};
    rc = hn_adapter_write(place.temp, &spec, err);
    rc = rc ? rc : hn_out_place_commit(&place, err);
    hn_out_place_close(&place);
    hn_adapter_release(&f);
    return rc;
}
