"""Names of the call metadata that doors and core exchange (lower case, as gRPC wants them)."""

AUTHORIZATION = "authorization"
REQUEST_ID = "x-request-id"
CLIENT_IP = "x-client-ip"
GATEWAY_TOKEN = "x-gateway-token"
IDEMPOTENCY_KEY = "idempotency-key"
IF_MATCH = "if-match"

# Headers of a request that a door passes on as they are.
FORWARDED = (
    AUTHORIZATION,
    IDEMPOTENCY_KEY,
    IF_MATCH,
    "accept-language",
    "user-agent",
    # W3C Trace Context.
    "traceparent",
    "tracestate",
    "skillforge-signature",
    "stripe-signature",
    "svix-id",
    "svix-timestamp",
    "svix-signature",
)

# How a frame of a WebSocket connection is authorized: `authorization: Connection <credential>`.
CONNECTION_SCHEME = "Connection"

# Metadata of a reply, and of an error.
HTTP_STATUS = "x-http-status"
RATE_LIMIT = "ratelimit"
RATE_LIMIT_POLICY = "ratelimit-policy"
IDEMPOTENCY_REPLAYED = "idempotency-replayed"
CONTENT_DISPOSITION = "content-disposition"
# The strong entity tag of an answer that is no message, without its quotes.
ETAG = "etag"
# What a door is to authorize a connection's frames with from now on.
CONNECTION_CREDENTIAL = "x-connection-credential"
REPLY_KEYS = (HTTP_STATUS, RATE_LIMIT, RATE_LIMIT_POLICY, IDEMPOTENCY_REPLAYED, CONTENT_DISPOSITION, ETAG, CONNECTION_CREDENTIAL)
