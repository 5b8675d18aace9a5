/* The live stream (server-sent events): a snapshot, then what changes, a heartbeat every 2 s. */
#ifndef CENTRAL_API_STREAM_H
#define CENTRAL_API_STREAM_H

#include "central/api.h"

void api_stream(const struct api *api, const struct http_request *request,
                struct http_response *response);

#endif
