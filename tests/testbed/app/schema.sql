-- The tables of Chamilo 2 that the collection looks at, with sample data. MariaDB 10.11 and 11.8.
-- The address of the portal: { echo "SET @portal = 'http://campus.test/';"; cat schema.sql; } | mariadb chamilo
-- Passwords: admin-Password-1!  teacher-Password-1!  student-Password-1! (everybody else)

SET NAMES utf8mb4;
SET FOREIGN_KEY_CHECKS = 0;
SET @portal = IFNULL(@portal, 'http://localhost/');

DROP TABLE IF EXISTS access_url;
DROP TABLE IF EXISTS settings_value_template;
DROP TABLE IF EXISTS settings;
DROP TABLE IF EXISTS user;
DROP TABLE IF EXISTS admin;
DROP TABLE IF EXISTS access_url_rel_user;
DROP TABLE IF EXISTS validation_token;
DROP TABLE IF EXISTS track_e_login_record;
DROP TABLE IF EXISTS track_e_login;
DROP TABLE IF EXISTS track_e_online;
DROP TABLE IF EXISTS track_e_default;
DROP TABLE IF EXISTS course;
DROP TABLE IF EXISTS course_rel_user;
DROP TABLE IF EXISTS resource_file;
DROP TABLE IF EXISTS version;

CREATE TABLE access_url (
  id INT NOT NULL AUTO_INCREMENT,
  url VARCHAR(255) NOT NULL,
  description LONGTEXT DEFAULT NULL,
  active INT NOT NULL,
  created_by INT NOT NULL,
  tms DATETIME DEFAULT NULL,
  url_type TINYINT(1) DEFAULT NULL,
  limit_courses INT DEFAULT NULL,
  limit_active_courses INT DEFAULT NULL,
  limit_sessions INT DEFAULT NULL,
  limit_users INT DEFAULT NULL,
  limit_teachers INT DEFAULT NULL,
  limit_disk_space INT DEFAULT NULL,
  email VARCHAR(255) DEFAULT NULL,
  PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci ROW_FORMAT=DYNAMIC;

CREATE TABLE settings_value_template (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT,
  variable VARCHAR(190) NOT NULL,
  description LONGTEXT DEFAULT NULL,
  json_example LONGTEXT DEFAULT NULL,
  created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (id),
  UNIQUE KEY UNIQ_settings_value_template_variable (variable)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci ROW_FORMAT=DYNAMIC;

CREATE TABLE settings (
  id INT NOT NULL AUTO_INCREMENT,
  access_url INT DEFAULT NULL,
  variable VARCHAR(190) NOT NULL,
  subkey VARCHAR(190) DEFAULT NULL,
  type VARCHAR(255) DEFAULT NULL,
  category VARCHAR(255) DEFAULT NULL,
  selected_value LONGTEXT DEFAULT NULL,
  title VARCHAR(255) NOT NULL,
  comment VARCHAR(255) DEFAULT NULL,
  scope VARCHAR(50) DEFAULT NULL,
  subkeytext VARCHAR(255) DEFAULT NULL,
  access_url_changeable INT NOT NULL,
  access_url_locked INT NOT NULL DEFAULT 0,
  value_template_id INT UNSIGNED DEFAULT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY unique_setting (variable, subkey, access_url),
  KEY access_url (access_url),
  KEY IDX_E545A0C5C72FB79B (value_template_id),
  CONSTRAINT FK_E545A0C59436187B FOREIGN KEY (access_url) REFERENCES access_url (id),
  CONSTRAINT FK_E545A0C5C72FB79B FOREIGN KEY (value_template_id) REFERENCES settings_value_template (id) ON DELETE SET NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci ROW_FORMAT=DYNAMIC;

CREATE TABLE user (
  id INT NOT NULL AUTO_INCREMENT,
  username VARCHAR(100) NOT NULL,
  username_canonical VARCHAR(180) NOT NULL,
  email VARCHAR(180) NOT NULL,
  firstname VARCHAR(64) DEFAULT NULL,
  lastname VARCHAR(64) DEFAULT NULL,
  password VARCHAR(255) NOT NULL,
  salt VARCHAR(255) NOT NULL DEFAULT '',
  roles LONGTEXT NOT NULL,
  status INT NOT NULL,
  active INT NOT NULL DEFAULT 1,
  locked TINYINT(1) NOT NULL DEFAULT 0,
  expired TINYINT(1) NOT NULL DEFAULT 0,
  expiration_date DATETIME DEFAULT NULL,
  last_login DATETIME DEFAULT NULL,
  created_at DATETIME NOT NULL,
  updated_at DATETIME NOT NULL,
  password_updated_at DATETIME DEFAULT NULL,
  password_requested_at DATETIME DEFAULT NULL,
  confirmation_token VARCHAR(255) DEFAULT NULL,
  api_token VARCHAR(255) DEFAULT NULL,
  mfa_enabled TINYINT(1) NOT NULL DEFAULT 0,
  mfa_service VARCHAR(255) DEFAULT NULL,
  mfa_secret VARCHAR(255) DEFAULT NULL,
  mfa_backup_codes LONGTEXT DEFAULT NULL,
  mfa_last_used DATETIME DEFAULT NULL,
  creator_id INT DEFAULT NULL,
  locale VARCHAR(10) NOT NULL DEFAULT 'en',
  timezone VARCHAR(255) NOT NULL DEFAULT 'UTC',
  PRIMARY KEY (id),
  UNIQUE KEY UNIQ_8D93D649F85E0677 (username)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci ROW_FORMAT=DYNAMIC;

CREATE TABLE admin (
  id INT NOT NULL AUTO_INCREMENT,
  user_id INT NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY user_id (user_id),
  CONSTRAINT FK_880E0D76A76ED395 FOREIGN KEY (user_id) REFERENCES user (id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci ROW_FORMAT=DYNAMIC;

CREATE TABLE access_url_rel_user (
  id INT NOT NULL AUTO_INCREMENT,
  access_url_id INT NOT NULL,
  user_id INT NOT NULL,
  PRIMARY KEY (id),
  KEY idx_access_url_rel_user_user (user_id),
  CONSTRAINT FK_8557263273444FD5 FOREIGN KEY (access_url_id) REFERENCES access_url (id),
  CONSTRAINT FK_85572632A76ED395 FOREIGN KEY (user_id) REFERENCES user (id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci ROW_FORMAT=DYNAMIC;

CREATE TABLE validation_token (
  id INT NOT NULL AUTO_INCREMENT,
  type INT NOT NULL,
  resource_id BIGINT NOT NULL,
  hash CHAR(64) NOT NULL,
  created_at DATETIME NOT NULL,
  PRIMARY KEY (id),
  KEY idx_type_hash (type, hash)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci ROW_FORMAT=DYNAMIC;

CREATE TABLE track_e_login_record (
  id INT NOT NULL AUTO_INCREMENT,
  username VARCHAR(100) NOT NULL,
  login_date DATETIME NOT NULL,
  user_ip VARCHAR(45) NOT NULL,
  success TINYINT(1) NOT NULL,
  PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci ROW_FORMAT=DYNAMIC;

CREATE TABLE track_e_login (
  login_id INT NOT NULL AUTO_INCREMENT,
  login_user_id INT NOT NULL,
  login_date DATETIME NOT NULL,
  user_ip VARCHAR(45) NOT NULL,
  logout_date DATETIME DEFAULT NULL,
  PRIMARY KEY (login_id),
  KEY login_user_id (login_user_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci ROW_FORMAT=DYNAMIC;

CREATE TABLE track_e_online (
  login_id INT NOT NULL AUTO_INCREMENT,
  login_user_id INT NOT NULL,
  login_date DATETIME NOT NULL,
  user_ip VARCHAR(45) NOT NULL,
  PRIMARY KEY (login_id),
  KEY login_user_id (login_user_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci ROW_FORMAT=DYNAMIC;

CREATE TABLE track_e_default (
  default_id INT NOT NULL AUTO_INCREMENT,
  default_user_id INT NOT NULL,
  default_date DATETIME NOT NULL,
  default_event_type VARCHAR(255) NOT NULL,
  default_value_type VARCHAR(255) NOT NULL,
  default_value LONGTEXT NOT NULL,
  PRIMARY KEY (default_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci ROW_FORMAT=DYNAMIC;

CREATE TABLE course (
  id INT NOT NULL AUTO_INCREMENT,
  code VARCHAR(40) NOT NULL,
  title VARCHAR(250) DEFAULT NULL,
  visibility INT DEFAULT NULL,
  creation_date DATETIME DEFAULT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY code (code)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci ROW_FORMAT=DYNAMIC;

CREATE TABLE course_rel_user (
  id INT NOT NULL AUTO_INCREMENT,
  user_id INT NOT NULL,
  c_id INT NOT NULL,
  status INT NOT NULL,
  PRIMARY KEY (id),
  CONSTRAINT FK_92CFD9FEA76ED395 FOREIGN KEY (user_id) REFERENCES user (id) ON DELETE CASCADE,
  CONSTRAINT FK_92CFD9FE91D79BD3 FOREIGN KEY (c_id) REFERENCES course (id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci ROW_FORMAT=DYNAMIC;

CREATE TABLE resource_file (
  id INT NOT NULL AUTO_INCREMENT,
  title VARCHAR(255) NOT NULL,
  original_name VARCHAR(255) NOT NULL,
  path VARCHAR(255) NOT NULL,
  mime_type VARCHAR(255) NOT NULL,
  size INT NOT NULL,
  creator_id INT DEFAULT NULL,
  created_at DATETIME NOT NULL,
  PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci ROW_FORMAT=DYNAMIC;

CREATE TABLE version (
  version VARCHAR(191) NOT NULL,
  executed_at DATETIME DEFAULT NULL,
  execution_time INT DEFAULT NULL,
  PRIMARY KEY (version)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci ROW_FORMAT=DYNAMIC;

SET FOREIGN_KEY_CHECKS = 1;

INSERT INTO access_url (id, url, description, active, created_by, tms) VALUES (1, @portal, 'Main portal', 1, 1, NOW());

INSERT INTO user (id, username, username_canonical, email, firstname, lastname, password, roles, status, active, locked, expired, expiration_date, last_login, created_at, updated_at, password_updated_at, creator_id) VALUES
  (1, 'admin', 'admin', 'admin@example.test', 'Ada', 'Admin', '$2y$04$Zb4gE5tsQTQY8XmVAbTtAexuAfOyUJYD.cwfqJIWYdsmKHoRhiLSi', 'a:1:{i:0;s:10:"ROLE_ADMIN";}', 1, 1, 0, 0, NULL, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1),
  (2, 'anonymous', 'anonymous', 'anonymous@example.test', 'Joe', 'Anonymous', '', 'a:1:{i:0;s:14:"ROLE_ANONYMOUS";}', 6, 1, 0, 0, NULL, NULL, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NULL, 1),
  (3, 'fallback_user', 'fallback_user', 'fallback_user@example.test', 'Fallback', 'User', '', 'a:1:{i:0;s:13:"ROLE_FALLBACK";}', 99, 1, 0, 0, NULL, NULL, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NULL, 1),
  (4, 'teacher', 'teacher', 'teacher@example.test', 'Tara', 'Teacher', '$2y$04$7WZC/iAoxWIE2x1s79yNzuYp6qAeipQ/yaWDfLkDCeF11sX.Au582', 'a:1:{i:0;s:12:"ROLE_TEACHER";}', 1, 1, 0, 0, NULL, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1),
  (10, 'student01', 'student01', 'student01@example.test', 'Student01', 'Pupil', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, 1, 0, 0, NULL, NOW() - INTERVAL 1 HOUR, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1),
  (11, 'student02', 'student02', 'student02@example.test', 'Student02', 'Pupil', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, 1, 0, 0, NULL, NOW() - INTERVAL 2 HOUR, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1),
  (12, 'student03', 'student03', 'student03@example.test', 'Student03', 'Pupil', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, 1, 0, 0, NULL, NOW() - INTERVAL 3 HOUR, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1),
  (13, 'student04', 'student04', 'student04@example.test', 'Student04', 'Pupil', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, 1, 0, 0, NULL, NOW() - INTERVAL 4 HOUR, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1),
  (14, 'student05', 'student05', 'student05@example.test', 'Student05', 'Pupil', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, 1, 0, 0, NULL, NOW() - INTERVAL 5 HOUR, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1),
  (15, 'student06', 'student06', 'student06@example.test', 'Student06', 'Pupil', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, 1, 0, 0, NULL, NOW() - INTERVAL 6 HOUR, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1),
  (16, 'student07', 'student07', 'student07@example.test', 'Student07', 'Pupil', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, 1, 0, 0, NULL, NOW() - INTERVAL 7 HOUR, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1),
  (17, 'student08', 'student08', 'student08@example.test', 'Student08', 'Pupil', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, 1, 0, 0, NULL, NOW() - INTERVAL 8 HOUR, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1),
  (18, 'student09', 'student09', 'student09@example.test', 'Student09', 'Pupil', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, 1, 0, 0, NULL, NOW() - INTERVAL 9 HOUR, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1),
  (19, 'student10', 'student10', 'student10@example.test', 'Student10', 'Pupil', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, 1, 0, 0, NULL, NOW() - INTERVAL 10 HOUR, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1),
  (20, 'student11', 'student11', 'student11@example.test', 'Student11', 'Pupil', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, 1, 0, 0, NULL, NOW() - INTERVAL 11 HOUR, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1),
  (21, 'student12', 'student12', 'student12@example.test', 'Student12', 'Pupil', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, 1, 0, 0, NULL, NOW() - INTERVAL 12 HOUR, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1),
  (22, 'student13', 'student13', 'student13@example.test', 'Student13', 'Pupil', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, 1, 0, 0, NULL, NOW() - INTERVAL 13 HOUR, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1),
  (23, 'student14', 'student14', 'student14@example.test', 'Student14', 'Pupil', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, 1, 0, 0, NULL, NOW() - INTERVAL 14 HOUR, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1),
  (24, 'student15', 'student15', 'student15@example.test', 'Student15', 'Pupil', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, 1, 0, 0, NULL, NOW() - INTERVAL 15 HOUR, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1),
  (25, 'student16', 'student16', 'student16@example.test', 'Student16', 'Pupil', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, 1, 0, 0, NULL, NOW() - INTERVAL 16 HOUR, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1),
  (26, 'student17', 'student17', 'student17@example.test', 'Student17', 'Pupil', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, 1, 0, 0, NULL, NOW() - INTERVAL 17 HOUR, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1),
  (27, 'student18', 'student18', 'student18@example.test', 'Student18', 'Pupil', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, 1, 0, 0, NULL, NOW() - INTERVAL 18 HOUR, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1),
  (28, 'student19', 'student19', 'student19@example.test', 'Student19', 'Pupil', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, 1, 0, 0, NULL, NOW() - INTERVAL 19 HOUR, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1),
  (29, 'student20', 'student20', 'student20@example.test', 'Student20', 'Pupil', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, 1, 0, 0, NULL, NOW() - INTERVAL 20 HOUR, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1),
  (30, 'student21', 'student21', 'student21@example.test', 'Student21', 'Pupil', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, 1, 0, 0, NULL, NOW() - INTERVAL 21 HOUR, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1),
  (31, 'student22', 'student22', 'student22@example.test', 'Student22', 'Pupil', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, 1, 0, 0, NULL, NOW() - INTERVAL 22 HOUR, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1),
  (32, 'student23', 'student23', 'student23@example.test', 'Student23', 'Pupil', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, 1, 0, 0, NULL, NOW() - INTERVAL 23 HOUR, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1),
  (33, 'student24', 'student24', 'student24@example.test', 'Student24', 'Pupil', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, 1, 0, 0, NULL, NOW() - INTERVAL 24 HOUR, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1),
  (34, 'student25', 'student25', 'student25@example.test', 'Student25', 'Pupil', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, 1, 0, 0, NULL, NOW() - INTERVAL 25 HOUR, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1),
  (35, 'student26', 'student26', 'student26@example.test', 'Student26', 'Pupil', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, 1, 0, 0, NULL, NOW() - INTERVAL 26 HOUR, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1),
  (36, 'student27', 'student27', 'student27@example.test', 'Student27', 'Pupil', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, 1, 0, 0, NULL, NOW() - INTERVAL 27 HOUR, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1),
  (37, 'student28', 'student28', 'student28@example.test', 'Student28', 'Pupil', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, 1, 0, 0, NULL, NOW() - INTERVAL 28 HOUR, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1),
  (38, 'student29', 'student29', 'student29@example.test', 'Student29', 'Pupil', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, 1, 0, 0, NULL, NOW() - INTERVAL 29 HOUR, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1),
  (39, 'student30', 'student30', 'student30@example.test', 'Student30', 'Pupil', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, 1, 0, 0, NULL, NOW() - INTERVAL 30 HOUR, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1),
  (40, 'dormant.student', 'dormant.student', 'dormant.student@example.test', 'Dora', 'Dormant', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, 1, 0, 0, NULL, NOW() - INTERVAL 200 DAY, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 700 DAY, 1),
  (41, 'dormant.teacher', 'dormant.teacher', 'dormant.teacher@example.test', 'Dirk', 'Dormant', '$2y$04$7WZC/iAoxWIE2x1s79yNzuYp6qAeipQ/yaWDfLkDCeF11sX.Au582', 'a:1:{i:0;s:12:"ROLE_TEACHER";}', 1, 1, 0, 0, NULL, NOW() - INTERVAL 95 DAY, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NULL, 1),
  (42, 'never.used', 'never.used', 'never.used@example.test', 'Nina', 'Never', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, 1, 0, 0, NULL, NULL, NOW() - INTERVAL 180 DAY, NOW() - INTERVAL 1 DAY, NULL, 1),
  (43, 'new.student', 'new.student', 'new.student@example.test', 'Nils', 'New', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, 1, 0, 0, NULL, NULL, NOW() - INTERVAL 2 DAY, NOW() - INTERVAL 1 DAY, NULL, 1),
  (44, 'inactive.student', 'inactive.student', 'inactive.student@example.test', 'Ines', 'Inactive', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, 0, 0, 0, NULL, NOW() - INTERVAL 10 DAY, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1),
  (45, 'auto.inactive', 'auto.inactive', 'auto.inactive@example.test', 'Otto', 'Inactive', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, -1, 0, 0, NULL, NOW() - INTERVAL 300 DAY, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1),
  (46, 'deleted.student', 'deleted.student', 'deleted.student@example.test', 'Dina', 'Deleted', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, -2, 0, 0, NULL, NOW() - INTERVAL 300 DAY, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1),
  (47, 'expired.student', 'expired.student', 'expired.student@example.test', 'Emil', 'Expired', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, 1, 0, 0, NOW() - INTERVAL 5 DAY, NOW() - INTERVAL 6 DAY, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1),
  (48, 'student01b', 'student01b', 'student01@example.test', 'Student01', 'Pupil', '$2y$04$BFYfa2HrUOXqErd9A/rQT.3Jdl4bVcT3OKeXVjvL4H1WDh8g7pq1y', 'a:1:{i:0;s:12:"ROLE_STUDENT";}', 5, 1, 0, 0, NULL, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1),
  (49, 'second.admin', 'second.admin', 'second.admin@example.test', 'Sven', 'Second', '$2y$04$Zb4gE5tsQTQY8XmVAbTtAexuAfOyUJYD.cwfqJIWYdsmKHoRhiLSi', 'a:2:{i:0;s:12:"ROLE_TEACHER";i:1;s:10:"ROLE_ADMIN";}', 1, 1, 0, 0, NULL, NOW() - INTERVAL 120 DAY, NOW() - INTERVAL 400 DAY, NOW() - INTERVAL 1 DAY, NOW() - INTERVAL 30 DAY, 1);

INSERT INTO admin (user_id) VALUES (1), (49);
INSERT INTO access_url_rel_user (access_url_id, user_id) SELECT 1, id FROM user;

INSERT INTO course (id, code, title, visibility, creation_date) VALUES (1, 'DEMO', 'Demonstration course', 2, NOW() - INTERVAL 100 DAY);
INSERT INTO course_rel_user (user_id, c_id, status) SELECT id, 1, status FROM user WHERE status IN (1, 5) AND active = 1;

INSERT INTO resource_file (id, title, original_name, path, mime_type, size, creator_id, created_at) VALUES
  (1, 'welcome.txt', 'welcome.txt', 'we/lc/welcome-1.txt', 'text/plain', 43, 4, NOW() - INTERVAL 20 DAY),
  (2, 'photo.png', 'photo.png', 'ph/ot/photo-2.png', 'image/png', 69, 10, NOW() - INTERVAL 10 DAY);

INSERT INTO settings (access_url, variable, category, selected_value, title, scope, access_url_changeable, access_url_locked) VALUES
  (1, 'site_name', 'platform', 'Campus', 'Site name', '', 1, 0),
  (1, 'institution', 'platform', 'Test School', 'Institution', '', 1, 0),
  (1, 'institution_url', 'platform', 'http://localhost/', 'Institution url', '', 1, 0),
  (1, 'server_type', 'platform', 'prod', 'Server type', '', 1, 1),
  (1, 'chamilo_database_version', 'platform', '2.0.4', 'Chamilo database version', '', 1, 1),
  (1, 'use_custom_pages', 'platform', 'false', 'Use custom pages', '', 1, 0),
  (1, 'timezone', 'platform', 'UTC', 'Timezone', '', 1, 0),
  (1, 'login_max_attempt_before_blocking_account', 'security', '0', 'Login max attempt before blocking account', '', 1, 1),
  (1, 'allow_captcha', 'security', 'false', 'Allow captcha', '', 1, 0),
  (1, 'captcha_number_mistakes_to_block_account', 'security', '', 'Captcha number mistakes to block account', '', 1, 0),
  (1, 'captcha_time_to_block', 'security', '', 'Captcha time to block', '', 1, 0),
  (1, 'password_requirements', 'security', '', 'Password requirements', '', 1, 0),
  (1, 'check_password', 'security', 'false', 'Check password', '', 1, 0),
  (1, 'allow_strength_pass_checker', 'security', 'true', 'Allow strength pass checker', '', 1, 0),
  (1, 'password_rotation_days', 'security', '0', 'Password rotation days', '', 1, 0),
  (1, 'force_renew_password_at_first_login', 'security', 'false', 'Force renew password at first login', '', 1, 0),
  (1, 'user_reset_password', 'security', 'false', 'User reset password', '', 1, 0),
  (1, 'user_reset_password_token_limit', 'security', '3600', 'User reset password token limit', '', 1, 0),
  (1, 'prevent_multiple_simultaneous_login', 'security', 'false', 'Prevent multiple simultaneous login', '', 1, 0),
  (1, 'security_block_inactive_users_immediately', 'security', 'false', 'Security block inactive users immediately', '', 1, 0),
  (1, '2fa_enable', 'security', 'false', '2fa enable', '', 1, 0),
  (1, 'security_session_cookie_samesite_none', 'security', 'false', 'Security session cookie samesite none', '', 1, 0),
  (1, 'security_strict_transport', 'security', '', 'Security strict transport', '', 1, 0),
  (1, 'security_content_policy', 'security', '', 'Security content policy', '', 1, 0),
  (1, 'security_content_policy_report_only', 'security', '', 'Security content policy report only', '', 1, 0),
  (1, 'security_x_frame_options', 'security', 'SAMEORIGIN', 'Security x frame options', '', 1, 0),
  (1, 'security_xss_protection', 'security', '1; mode=block', 'Security xss protection', '', 1, 0),
  (1, 'security_x_content_type_options', 'security', 'nosniff', 'Security x content type options', '', 1, 0),
  (1, 'security_referrer_policy', 'security', 'origin-when-cross-origin', 'Security referrer policy', '', 1, 0),
  (1, 'anonymous_autoprovisioning', 'security', 'false', 'Anonymous autoprovisioning', '', 1, 0),
  (1, 'access_to_personal_file_for_all', 'security', 'false', 'Access to personal file for all', '', 1, 0),
  (1, 'hide_breadcrumb_if_not_allowed', 'security', 'false', 'Hide breadcrumb if not allowed', '', 1, 0),
  (1, 'upload_extensions_list_type', 'document', 'blacklist', 'Upload extensions list type', '', 1, 0),
  (1, 'upload_extensions_blacklist', 'document', '', 'Upload extensions blacklist', '', 1, 0),
  (1, 'upload_extensions_skip', 'document', 'true', 'Upload extensions skip', '', 1, 0),
  (1, 'upload_extensions_replace_by', 'document', 'dangerous', 'Upload extensions replace by', '', 1, 0),
  (1, 'permissions_for_new_directories', 'document', '0770', 'Permissions for new directories', '', 1, 1),
  (1, 'permissions_for_new_files', 'document', '0660', 'Permissions for new files', '', 1, 1),
  (1, 'enable_x_sendfile_headers', 'document', 'false', 'Enable x sendfile headers', '', 1, 0),
  (1, 'allow_htaccess_import_from_scorm', 'lp', 'false', 'Allow htaccess import from scorm', '', 1, 0),
  (1, 'allow_registration', 'registration', 'false', 'Allow registration', '', 1, 0),
  (1, 'allow_registration_as_teacher', 'registration', 'false', 'Allow registration as teacher', '', 1, 0),
  (1, 'allow_lostpassword', 'registration', 'true', 'Allow lostpassword', '', 1, 0),
  (1, 'platform_unsubscribe_allowed', 'registration', 'false', 'Platform unsubscribe allowed', '', 1, 0),
  (1, 'disable_webservices', 'webservice', 'false', 'Disable webservices', '', 1, 0),
  (1, 'webservice_enable_adminonly_api', 'webservice', 'false', 'Webservice enable adminonly api', '', 1, 0),
  (1, 'allow_download_documents_by_api_key', 'webservice', 'false', 'Allow download documents by api key', '', 1, 0),
  (1, 'showonline', 'display', 'world', 'Showonline', '', 1, 0),
  (1, 'max_anonymous_users', 'admin', '0', 'Max anonymous users', '', 1, 0),
  (1, 'administrator_email', 'admin', 'admin@example.test', 'Administrator email', '', 1, 0),
  (1, 'allow_users_to_change_email_with_no_password', 'profile', 'false', 'Allow users to change email with no password', '', 1, 0),
  (1, 'login_is_email', 'profile', 'false', 'Login is email', '', 1, 1),
  (1, 'mailer_dsn', 'mail', 'null://null', 'Mailer dsn', '', 1, 0),
  (1, 'mailer_from_email', 'mail', 'campus@example.test', 'Mailer from email', '', 1, 0);

INSERT INTO version (version, executed_at, execution_time) VALUES
  ('Chamilo\\CoreBundle\\Migrations\\Schema\\V200\\Version20260101000000', NOW() - INTERVAL 60 DAY, 5);
