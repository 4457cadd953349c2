/* A bounded JSON reader and writer that keeps what Python's json keeps: the text of numbers, lone
 * surrogates (as WTF-8), NaN and Infinity, key order (a repeated key keeps its first place and its
 * last value).  Parsed documents live in one arena and die with it. */
#ifndef HN_BASE_JSON_H
#define HN_BASE_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum hn_json_type {
    HN_JSON_NULL,
    HN_JSON_BOOL,
    HN_JSON_INT,   /* text kept; may have any number of digits */
    HN_JSON_FLOAT, /* text kept; also NaN, Infinity, -Infinity where allowed */
    HN_JSON_STRING,
    HN_JSON_ARRAY,
    HN_JSON_OBJECT,
};

struct hn_json {
    enum hn_json_type type;
    bool boolean;
    size_t n; /* items of an array, members of an object */
    union {
        struct hn_str text;             /* INT, FLOAT: as written; STRING: decoded, may hold NULs */
        struct hn_json *items;          /* ARRAY [n] */
        struct hn_json_member *members; /* OBJECT [n] */
    };
};

struct hn_json_member {
    struct hn_str key;
    struct hn_json value;
};

enum hn_json_flags {
    HN_JSON_PYTHON = 1,      /* accept NaN, Infinity, -Infinity */
    HN_JSON_UNIQUE_KEYS = 2, /* a repeated key is an error instead of "the last one wins" */
};

enum { HN_JSON_MAX_DEPTH = 512 };

/* Parse the one document in text[n] (white space around it allowed).  The tree borrows nothing from
 * text.  Invalid UTF-8 inside strings is an error.  On failure *out is untouched, and the message
 * reads "line L, column C: found X, expected Y"; the caller prefixes the file's name. */
HN_MUST_USE int hn_json_parse(struct hn_arena *arena, const char *text, size_t n, int flags,
                              struct hn_json **out, struct hone_err *err);

/* Member lookup; NULL when j is NULL, not an object, or lacks the key. */
const struct hn_json *hn_json_get(const struct hn_json *j, const char *key);
/* Element lookup; NULL when j is NULL, not an array, or too short. */
const struct hn_json *hn_json_at(const struct hn_json *j, size_t i);

/* Typed reads: true and *out set when j is such a value; false (and *out untouched) otherwise.
 * An INT is also a float; an INT that does not fit int64 is not an int. */
bool hn_json_int(const struct hn_json *j, int64_t *out);
bool hn_json_float(const struct hn_json *j, double *out);
bool hn_json_bool(const struct hn_json *j, bool *out);
bool hn_json_str(const struct hn_json *j, struct hn_str *out);
/* j is a string equal to s */
bool hn_json_is(const struct hn_json *j, const char *s);
/* "an object", "a string"…: what was found, for messages; "nothing" for NULL. */
const char *hn_json_type_name(const struct hn_json *j);

/* Byte for byte what Python's json.dumps(value, indent=indent) writes; indent < 0 is None (one
 * line,
 * ", " and ": ").  ensure_ascii as in Python.  sort_keys sorts by code point. */
void hn_json_dump(struct hn_buf *out, const struct hn_json *j, int indent, bool ensure_ascii,
                  bool sort_keys);

/* Writing without a tree: a comma is put where one is needed.  Strings are written as UTF-8 with
 * the necessary escapes only; invalid UTF-8 becomes U+FFFD.  Doubles as Python's repr; NaN and
 * infinities as null. */
struct hn_json_writer {
    struct hn_buf *out;
    int indent; /* < 0: all on one line */
    int depth;
    bool started, after_key;
};
void hn_jw_init(struct hn_json_writer *w, struct hn_buf *out, int indent);
void hn_jw_open(struct hn_json_writer *w, char bracket);  /* '{' or '[' */
void hn_jw_close(struct hn_json_writer *w, char bracket); /* '}' or ']' */
void hn_jw_key(struct hn_json_writer *w, const char *key);
void hn_jw_keyn(struct hn_json_writer *w, const char *key, size_t n);
void hn_jw_str(struct hn_json_writer *w, const char *s);
void hn_jw_strn(struct hn_json_writer *w, const char *s, size_t n);
void hn_jw_int(struct hn_json_writer *w, int64_t v);
void hn_jw_double(struct hn_json_writer *w, double v);
void hn_jw_bool(struct hn_json_writer *w, bool v);
void hn_jw_null(struct hn_json_writer *w);
void hn_jw_raw(struct hn_json_writer *w, const char *json);          /* what is JSON text already */
void hn_jw_value(struct hn_json_writer *w, const struct hn_json *v); /* a whole parsed value */
/* A member: its key, then its value (or what opens it); s may be NULL, for null. */
void hn_jw_put_open(struct hn_json_writer *w, const char *key, char bracket);
void hn_jw_put_str(struct hn_json_writer *w, const char *key, const char *s);
void hn_jw_put_int(struct hn_json_writer *w, const char *key, int64_t v);
void hn_jw_put_double(struct hn_json_writer *w, const char *key, double v);
void hn_jw_put_bool(struct hn_json_writer *w, const char *key, bool v);
void hn_jw_put_null(struct hn_json_writer *w, const char *key);

/* Python's repr(float): the shortest text that reads back as v. */
void hn_double_repr(double v, char out[32]);
/* A double from JSON or Python number text of any length, correctly rounded, whatever the locale.
 */
double hn_double_parse(const char *p, size_t n);

#endif
