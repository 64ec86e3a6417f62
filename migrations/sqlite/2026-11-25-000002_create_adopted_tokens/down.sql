DROP TABLE portcullis_adopted_token;
