/* SPDX-License-Identifier: MIT */
/* A request as bytes of a part. */
#ifndef CENSUS_PART_H
#define CENSUS_PART_H

#include "diplex/base/text.h"
#include "diplex/census.h"

bool census_write(struct dx_out *out,
                  const struct dx_census_request *r) DX_CHECKED; /* whole, or not at all */

#endif
