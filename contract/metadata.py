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
    "skillforge-signature",
    "stripe-signature",
    "svix-id",
    "svix-timestamp",
    "svix-signature",
)

# Metadata of a reply, and of an error.
HTTP_STATUS = "x-http-status"
RATE_LIMIT = "ratelimit"
RATE_LIMIT_POLICY = "ratelimit-policy"
IDEMPOTENCY_REPLAYED = "idempotency-replayed"
CONTENT_DISPOSITION = "content-disposition"
REPLY_KEYS = (HTTP_STATUS, RATE_LIMIT, RATE_LIMIT_POLICY, IDEMPOTENCY_REPLAYED, CONTENT_DISPOSITION)
