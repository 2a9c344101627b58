/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a configuration: no crash, no leak; faults or a model and never both; and what is printed of a
 * model is read again and printed the same.
 */
#include "diplex/config.h"

#define INPUT_MAX 65536u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *env(const char *name, void *arg)
{
    (void)arg;
    if (name[0] == 'A')
        return "a: [b] #${C}\"";
    return name[0] == 'E' ? "" : name[0] == 'P' ? "8000" : NULL;
}

static struct dx_config *parse(struct dx_slice text)
{
    struct dx_config_faults faults = {0};
    struct dx_text out;
    struct dx_config *c = dx_config_parse(text, "fuzz.yaml", env, NULL, &faults);
    DX_ASSERT((c != NULL) == (faults.n == 0));
    dx_text_init(&out);
    dx_config_faults_print(&faults, text, "fuzz.yaml", &out);
    DX_ASSERT((c != NULL) == (out.n == 0));
    dx_text_fini(&out);
    dx_config_faults_fini(&faults);
    return c;
}

/* Takes the model. */
static struct dx_text print(struct dx_config *c)
{
    struct dx_text out;
    dx_text_init(&out);
    dx_config_print(c, &out);
    dx_config_free(&c);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dx_config *c = size <= INPUT_MAX ? parse(dx_slice_of((const char *)data, size)) : NULL;
    if (!c)
        return 0;
    struct dx_text one = print(c);
    c = parse(dx_slice_of(one.p, one.n));
    DX_ASSERT(c);
    struct dx_text two = print(c);
    c = parse(dx_slice_of(two.p, two.n));
    DX_ASSERT(c);
    struct dx_text three = print(c);
    DX_ASSERT(dx_slice_eq(dx_slice_of(two.p, two.n), dx_slice_of(three.p, three.n)));
    dx_text_fini(&one);
    dx_text_fini(&two);
    dx_text_fini(&three);
    return 0;
}
