-- What the upgrade to 3.0 makes of the database. Which fact each part rests on: tests/testbed/flavours.py.
SET NAMES utf8mb4;

UPDATE user SET roles = CONCAT('["', REGEXP_REPLACE(REGEXP_REPLACE(REGEXP_REPLACE(roles, '^[^"]*"', ''), '"[^"]*$', ''), '";[^"]*"', '","'), '"]');
ALTER TABLE user MODIFY roles JSON NOT NULL;

DELETE FROM settings WHERE variable = 'chamilo_database_version';
-- The migrations leave the column of the portal out.
INSERT INTO settings (variable, category, selected_value, title, scope, access_url_changeable, access_url_locked) VALUES
  ('mcp_enabled', 'security', 'true', 'Mcp enabled', '', 0, 0),
  ('oauth_server_enabled', 'security', 'false', 'Oauth server enabled', '', 0, 0),
  ('session_expiration_warning_enabled', 'security', 'false', 'Session expiration warning enabled', '', 0, 0);
-- An administrator tried them.
INSERT INTO settings (access_url, variable, category, selected_value, title, scope, access_url_changeable, access_url_locked) VALUES
  (1, 'mcp_enabled', 'security', 'true', 'Mcp enabled', '', 1, 0),
  (1, 'oauth_server_enabled', 'security', 'true', 'Oauth server enabled', '', 1, 0),
  (1, 'external_api_enabled', 'security', 'true', 'External api enabled', '', 1, 0),
  (1, 'file_integrity_check_notify_admins', 'security', '', 'File integrity check notify admins', '', 1, 0);

CREATE TABLE user_api_key (
  id INT NOT NULL AUTO_INCREMENT,
  user_id INT NOT NULL,
  api_key VARCHAR(190) NOT NULL,
  api_service VARCHAR(32) NOT NULL,
  created_date DATETIME DEFAULT NULL,
  PRIMARY KEY (id),
  KEY idx_user_api_keys_user (user_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci ROW_FORMAT=DYNAMIC;

CREATE TABLE oauth_client (
  id INT NOT NULL AUTO_INCREMENT,
  client_id VARCHAR(64) NOT NULL,
  client_ip VARCHAR(45) DEFAULT NULL,
  created_at DATETIME NOT NULL,
  PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci ROW_FORMAT=DYNAMIC;

CREATE TABLE plugin (
  id INT NOT NULL AUTO_INCREMENT,
  title VARCHAR(255) NOT NULL,
  installed TINYINT(1) NOT NULL DEFAULT 0,
  installed_version VARCHAR(20) NOT NULL DEFAULT '',
  source VARCHAR(20) NOT NULL DEFAULT 'official',
  PRIMARY KEY (id),
  UNIQUE KEY title (title)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci ROW_FORMAT=DYNAMIC;

CREATE TABLE access_url_rel_plugin (
  id INT NOT NULL AUTO_INCREMENT,
  url_id INT NOT NULL,
  plugin_id INT NOT NULL,
  active TINYINT(1) NOT NULL DEFAULT 0,
  configuration JSON DEFAULT NULL,
  PRIMARY KEY (id),
  CONSTRAINT FK_PLUGIN_URL FOREIGN KEY (url_id) REFERENCES access_url (id),
  CONSTRAINT FK_PLUGIN FOREIGN KEY (plugin_id) REFERENCES plugin (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci ROW_FORMAT=DYNAMIC;

INSERT INTO plugin (id, title, installed, installed_version) VALUES (1, 'BuyCourses', 1, '3.0'), (2, 'Bbb', 1, '3.0'), (3, 'LtiProvider', 1, '3.0');
INSERT INTO access_url_rel_plugin (url_id, plugin_id, active) VALUES (1, 1, 1), (1, 2, 1), (1, 3, 0);

CREATE TABLE IF NOT EXISTS c_notification (id INT AUTO_INCREMENT NOT NULL, PRIMARY KEY (id)) ENGINE=InnoDB;
INSERT INTO version (version, executed_at, execution_time) VALUES
  ('Chamilo\\CoreBundle\\Migrations\\Schema\\V200\\Version20260401000000', NOW(), 1),
  ('Chamilo\\CoreBundle\\Migrations\\Schema\\V200\\Version20260501000000', NOW(), 1),
  ('Chamilo\\CoreBundle\\Migrations\\Schema\\V200\\Version20260601000000', NOW(), 1),
  ('Chamilo\\CoreBundle\\Migrations\\Schema\\V300\\Version20260727000000', NOW(), 1),
  ('Chamilo\\CoreBundle\\Migrations\\Schema\\V300\\Version20260903150000', NOW(), 1);
