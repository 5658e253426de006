-- Friendships, requests and blocks: one row a pair, the smaller id first, so that every change of a pair is a
-- conditional update of one row.

-- `state`: 0 nothing, 1 low asked high, 2 high asked low, 3 friends. `by_email`: the request named an address, so the
-- one who asked may not see whose it is.
CREATE TABLE friendships (
  low_id BINARY(16) NOT NULL,
  high_id BINARY(16) NOT NULL,
  state TINYINT NOT NULL,
  low_blocks BOOLEAN NOT NULL,
  high_blocks BOOLEAN NOT NULL,
  by_email BOOLEAN NOT NULL,
  change_time DATETIME(6) NOT NULL,
  PRIMARY KEY (low_id, high_id),
  KEY friendships_low (low_id, state, change_time, high_id),
  KEY friendships_high (high_id, state, change_time, low_id),
  CONSTRAINT friendships_low_fk FOREIGN KEY (low_id) REFERENCES users (id),
  CONSTRAINT friendships_high_fk FOREIGN KEY (high_id) REFERENCES users (id)
) DEFAULT CHARSET = utf8mb4;
