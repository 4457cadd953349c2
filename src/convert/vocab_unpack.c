/* The vocabulary of a GGUF as a directory's tokenizer files. */
#include "convert/convert_impl.h"

int hn_converter_unpack_vocabulary(struct hn_converter *c, const char *dir)
{
    (void)dir;
    return hn_fail(c->err, HONE_FAILED, "%s: hone cannot turn a GGUF into a directory yet",
                   c->o->model);
}
