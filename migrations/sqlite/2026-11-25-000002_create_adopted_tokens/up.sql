-- Tokens that Django made, encrypted, so that a login can give them again although
-- authtoken_token has a digest of them only. Nothing here opens anything without the
-- secret key.
CREATE TABLE "portcullis_adopted_token" (
    "key" varchar(40) NOT NULL PRIMARY KEY,
    "encrypted" varchar(160) NOT NULL
);
