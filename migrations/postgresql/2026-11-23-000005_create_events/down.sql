DROP TABLE portcullis_event;
