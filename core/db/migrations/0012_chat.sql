-- Conversations of two people and their messages. The smaller id comes first; `low` and `high` columns are each side's.

-- `last_seq` numbers the messages without gaps. The watermarks only grow; `unread` counts the other side's messages
-- behind the read watermark.
CREATE TABLE conversations (
  low_id BINARY(16) NOT NULL,
  high_id BINARY(16) NOT NULL,
  last_seq BIGINT NOT NULL,
  last_time DATETIME(6) NOT NULL,
  low_delivered BIGINT NOT NULL,
  high_delivered BIGINT NOT NULL,
  low_read BIGINT NOT NULL,
  high_read BIGINT NOT NULL,
  low_unread INT NOT NULL,
  high_unread INT NOT NULL,
  PRIMARY KEY (low_id, high_id),
  KEY conversations_low (low_id, last_time, high_id),
  KEY conversations_high (high_id, last_time, low_id),
  CONSTRAINT conversations_low_fk FOREIGN KEY (low_id) REFERENCES users (id),
  CONSTRAINT conversations_high_fk FOREIGN KEY (high_id) REFERENCES users (id)
) DEFAULT CHARSET = utf8mb4;

CREATE TABLE messages (
  low_id BINARY(16) NOT NULL,
  high_id BINARY(16) NOT NULL,
  seq BIGINT NOT NULL,
  id BINARY(16) NOT NULL,
  sender_id BINARY(16) NOT NULL,
  client_message_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  body TEXT NOT NULL,
  send_time DATETIME(6) NOT NULL,
  PRIMARY KEY (low_id, high_id, seq),
  UNIQUE KEY messages_sent (sender_id, client_message_id)
) DEFAULT CHARSET = utf8mb4;
