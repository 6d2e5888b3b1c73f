/* Rules for texts that people choose: names, host names, labels, public keys, hashes. */
#include "api/json/validate.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "api/base/base64.h"
#include "api/base/buf.h"
#include "api/base/err.h"
#include "api/base/id.h"
#include "api/base/limits.h"
#include "api/base/mem.h"
#include "api/base/pointer.h"

enum { HOSTNAME_MAX = 253 };

/* Not <ctype.h>: these must not depend on a locale. */
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_alnum(char c)
{
    return is_digit(c) || is_lower(c) || (c >= 'A' && c <= 'Z');
}

static bool is_dns_label(const char *text, size_t len)
{
    if (len < 1 || len > LIMIT_NAME || text[0] == '-' || text[len - 1] == '-')
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!is_digit(text[i]) && !is_lower(text[i]) && text[i] != '-')
            return false;
    }
    return true;
}

static int check_length(const char *field, const char *text, size_t max, struct err *err)
{
    size_t len = strlen(text);
    const char *label = pointer_label(field);
    if (len == 0)
        return err_field(err, field, "%s: must not be empty", label);
    if (len > max)
        return err_field(err, field, "%s: must be at most %zu bytes, got %zu", label, max, len);
    return 0;
}

int validate_name(const char *field, const char *text, struct err *err)
{
    if (check_length(field, text, LIMIT_NAME, err) != 0)
        return -1;
    if (!is_dns_label(text, strlen(text)))
        return err_field(err, field,
                         "%s: must consist of a-z, 0-9 and -, and begin and end with a letter or "
                         "digit",
                         pointer_label(field));
    if (id_valid(text))
        return err_field(err, field,
                         "%s: must not look like an id, since a name works wherever an id does",
                         pointer_label(field));
    return 0;
}

int validate_word(const char *field, const char *text, struct err *err)
{
    for (const char *at = text; *at; at++) {
        if (*at <= ' ' || *at >= 0x7F || strchr("\"'`\\", *at))
            return err_field(err, field,
                             "%s: must be printable ASCII without spaces, quotes and backslashes, "
                             "and is not at byte %zu",
                             pointer_label(field), (size_t)(at - text) + 1);
    }
    return 0;
}

int validate_hostname(const char *field, const char *text, struct err *err)
{
    if (check_length(field, text, HOSTNAME_MAX, err) != 0)
        return -1;
    for (const char *label = text;;) {
        size_t len = strcspn(label, ".");
        if (!is_dns_label(label, len))
            return err_field(err, field,
                             "%s: must be labels of 1 to %d of a-z, 0-9 and - joined by dots, "
                             "with no - at either end of a label",
                             pointer_label(field), LIMIT_NAME);
        if (!label[len])
            return 0;
        label += len + 1;
    }
}

int validate_label_name(const char *field, const char *text, struct err *err)
{
    if (check_length(field, text, LIMIT_LABEL_NAME, err) != 0)
        return -1;
    size_t len = strlen(text);
    bool ok = is_alnum(text[0]) && is_alnum(text[len - 1]);
    for (size_t i = 0; ok && i < len; i++)
        ok = is_alnum(text[i]) || strchr("-_./", text[i]);
    if (!ok)
        return err_field(err, field,
                         "%s: a label's name must consist of letters, digits and - _ . /, and "
                         "begin and end with a letter or digit",
                         pointer_label(field));
    return 0;
}

/* C0, DEL, and C1 as UTF-8 spells it (C2 80 to C2 9F). */
static const char *find_control(const char *text)
{
    for (; *text; text++) {
        unsigned c = (unsigned char)text[0], next = (unsigned char)text[1];
        if (c < 0x20 || c == 0x7F || (c == 0xC2 && next >= 0x80 && next < 0xA0))
            return text;
    }
    return NULL;
}

static int check_no_control(const char *field, const char *text, struct err *err)
{
    const char *found = find_control(text);
    if (!found)
        return 0;
    return err_field(err, field, "%s: must not hold control characters, has one at byte %zu",
                     pointer_label(field), (size_t)(found - text) + 1);
}

int validate_label_value(const char *field, const char *text, struct err *err)
{
    size_t len = strlen(text);
    if (len > LIMIT_LABEL_VALUE)
        return err_field(err, field, "%s: must be at most %d bytes, got %zu", pointer_label(field),
                         LIMIT_LABEL_VALUE, len);
    return check_no_control(field, text, err);
}

/* ---- OpenSSH public keys ---- */

/* After its type, a key blob is a sequence of length-prefixed parts; `lengths`
 * says which lengths are right, 0 for any above zero (the numbers of RSA). */
struct key_type {
    const char *name;
    const char *curve; /* must be the part after the type; NULL: none */
    size_t parts;      /* after type and curve */
    size_t lengths[2];
};

static const struct key_type key_types[] = {
    {"ssh-ed25519", NULL, 1, {32}},
    {"ssh-rsa", NULL, 2, {0, 0}},
    {"ecdsa-sha2-nistp256", "nistp256", 1, {65}},
    {"ecdsa-sha2-nistp384", "nistp384", 1, {97}},
    {"ecdsa-sha2-nistp521", "nistp521", 1, {133}},
    {"sk-ssh-ed25519@openssh.com", NULL, 2, {32, 0}},
    {"sk-ecdsa-sha2-nistp256@openssh.com", "nistp256", 2, {65, 0}},
};

static const struct key_type *find_key_type(const char *text, size_t len)
{
    for (size_t i = 0; i < ARRAY_SIZE(key_types); i++) {
        const char *name = key_types[i].name;
        if (strlen(name) == len && memcmp(name, text, len) == 0)
            return &key_types[i];
    }
    return NULL;
}

struct blob {
    const uint8_t *at;
    size_t len;
};

/* Takes the next part, whose length stands before it as 32 bits, big-endian. */
static bool next_part(struct blob *blob, struct blob *ret_part)
{
    if (blob->len < 4)
        return false;
    size_t len = (size_t)blob->at[0] << 24 | (size_t)blob->at[1] << 16 | (size_t)blob->at[2] << 8 |
                 blob->at[3];
    if (len > blob->len - 4)
        return false;
    *ret_part = (struct blob){blob->at + 4, len};
    blob->at += 4 + len;
    blob->len -= 4 + len;
    return true;
}

static bool next_part_is(struct blob *blob, const char *text)
{
    struct blob part;
    return next_part(blob, &part) && part.len == strlen(text) &&
           memcmp(part.at, text, part.len) == 0;
}

static bool is_key_of(const struct key_type *type, struct blob blob)
{
    if (!next_part_is(&blob, type->name))
        return false;
    if (type->curve && !next_part_is(&blob, type->curve))
        return false;
    for (size_t i = 0; i < type->parts; i++) {
        struct blob part;
        if (!next_part(&blob, &part) || part.len == 0)
            return false;
        if (type->lengths[i] && part.len != type->lengths[i])
            return false;
    }
    return blob.len == 0;
}

/* Where the base64 word begins, and how long it is. */
static const char *key_word(const char *text, size_t *ret_len)
{
    const char *word = text + strcspn(text, " ");
    word += strspn(word, " ");
    *ret_len = strcspn(word, " ");
    return word;
}

static int key_refused(const char *field, const char *why, struct err *err)
{
    return err_field(err, field,
                     "%s: must be the one line of an OpenSSH public key file, such as "
                     "\"ssh-ed25519 AAAA... comment\"; %s",
                     pointer_label(field), why);
}

int validate_public_key(const char *field, const char *text, struct err *err)
{
    if (check_length(field, text, LIMIT_PUBLIC_KEY, err) != 0 ||
        check_no_control(field, text, err) != 0)
        return -1;
    if (strstr(text, "PRIVATE KEY"))
        return key_refused(field, "this is a private key, which must never leave its owner", err);
    const struct key_type *type = find_key_type(text, strcspn(text, " "));
    if (!type)
        return key_refused(field,
                           "known types are ssh-ed25519, ssh-rsa, ecdsa-sha2-nistp256/384/521 "
                           "and their sk- forms",
                           err);
    size_t len;
    const char *word = key_word(text, &len);
    autofree char *coded = xstrndup(word, len);
    struct buf auto_buf bytes = {0};
    struct err auto_err ignored = {0};
    if (len == 0 || base64_decode(field, coded, &bytes, &ignored) != 0)
        return key_refused(field, "its second word is no base64", err);
    if (!is_key_of(type, (struct blob){(const uint8_t *)bytes.data, bytes.len}))
        return key_refused(field, "its second word is no key of the type that it names", err);
    return 0;
}

char *public_key_fingerprint(const char *text)
{
    size_t len;
    const char *word = key_word(text, &len);
    autofree char *coded = xstrndup(word, len);
    struct buf auto_buf bytes = {0};
    struct err auto_err ignored = {0};
    if (base64_decode("", coded, &bytes, &ignored) != 0)
        return xstrdup("");
    uint8_t hash[SHA256_BYTES];
    sha256(bytes.data, bytes.len, hash);
    struct buf auto_buf out = {0};
    buf_puts(&out, "SHA256:");
    base64_encode(hash, sizeof(hash), &out);
    out.data[--out.len] = '\0'; /* ssh-keygen leaves the padding off */
    return buf_take(&out);
}

int validate_sha256(const char *field, const char *text, struct err *err)
{
    uint8_t hash[SHA256_BYTES];
    if (sha256_parse(text, hash) == 0)
        return 0;
    return err_field(err, field, "%s: want 64 hexadecimal digits", field);
}
