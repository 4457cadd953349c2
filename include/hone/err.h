/* How every call of hone reports a failure of the world (a file, a device, memory, an option). */
#ifndef HONE_ERR_H
#define HONE_ERR_H

/* Return codes: 0 is success, a failure is one of these. */
enum hone_code {
    HONE_OK = 0,
    HONE_FAILED = -1,      /* input, file or device is at fault; the message says which */
    HONE_USAGE = -2,       /* an option or argument is wrong */
    HONE_NO_MEMORY = -3,   /* an allocation failed */
    HONE_NOT_FOUND = -4,   /* the file, tensor or key that was asked for does not exist */
    HONE_INTERRUPTED = -5, /* the caller's stop request was honoured */
};

/* One full sentence: which file, key or tensor; what was found; what was expected; what to do.
 * The caller owns it; a call that succeeds leaves it alone.  Zero-initialise it once. */
struct hone_err {
    int code; /* enum hone_code */
    char message[1000];
};

#endif
