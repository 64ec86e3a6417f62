DROP TABLE portcullis_upgraded_hash;
