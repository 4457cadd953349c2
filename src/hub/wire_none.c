/* hone built without libcurl: nothing is downloaded. */
#include "hub/wire.h"

int hn_wire_open(struct hn_wire **out, struct hone_err *err)
{
    *out = NULL;
    return hn_fail(err, HONE_FAILED,
                   "this hone was built without libcurl and downloads nothing; install it "
                   "(Debian: apt-get install libcurl4-openssl-dev; macOS has it) and build again");
}

void hn_wire_close(struct hn_wire **w)
{
    (void)w;
}

int hn_wire_run(struct hn_wire *w, const struct hn_wire_request *q, struct hn_wire_reply *reply,
                struct hone_err *err)
{
    (void)w;
    (void)q;
    (void)reply;
    return hn_fail(err, HONE_FAILED, "this hone was built without libcurl");
}
