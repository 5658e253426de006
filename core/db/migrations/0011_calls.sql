-- The calls of two people. While one is live its state is in Redis; here stands that it was.

-- `reason` 0 and `end_time` NULL: it goes on. Numbers are those of the contract's CallMedia and CallEndReason.
CREATE TABLE calls (
  id BINARY(16) NOT NULL,
  caller_id BINARY(16) NOT NULL,
  callee_id BINARY(16) NOT NULL,
  media TINYINT NOT NULL,
  start_time DATETIME(6) NOT NULL,
  answer_time DATETIME(6) NULL,
  end_time DATETIME(6) NULL,
  reason TINYINT NOT NULL,
  missed BOOLEAN NOT NULL,
  PRIMARY KEY (id),
  KEY calls_made (caller_id, id),
  KEY calls_received (callee_id, id),
  KEY calls_open (end_time, start_time),
  CONSTRAINT calls_caller_fk FOREIGN KEY (caller_id) REFERENCES users (id),
  CONSTRAINT calls_callee_fk FOREIGN KEY (callee_id) REFERENCES users (id)
) DEFAULT CHARSET = utf8mb4;
