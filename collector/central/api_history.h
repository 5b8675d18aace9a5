/* What was: a point's history in buckets with its gaps. */
#ifndef CENTRAL_API_HISTORY_H
#define CENTRAL_API_HISTORY_H

#include "central/api.h"

void api_history(const struct api *api, const struct http_request *request, const char *point,
                 struct http_response *response);

#endif
