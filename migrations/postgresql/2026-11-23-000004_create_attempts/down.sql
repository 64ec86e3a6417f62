DROP TABLE portcullis_client;
DROP TABLE portcullis_attempt;
