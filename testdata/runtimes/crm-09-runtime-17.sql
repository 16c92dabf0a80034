-- The objects of app-crm/09-a112b7d9.json as the ObjectStack runtime 17.4.0 (local file) stores them.
CREATE TABLE `crm_account` (
  `id` varchar(255),
  `created_at` datetime default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  `updated_at` datetime default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  `name` text,
  `industry` varchar(255),
  `annual_revenue` float,
  `website` varchar(255),
  primary key (`id`)
);
CREATE TABLE `crm_activity` (
  `id` varchar(255),
  `created_at` datetime default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  `updated_at` datetime default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  `subject` text,
  `type` varchar(255),
  `status` varchar(255),
  `due_date` datetime,
  `contact` varchar(255),
  `account` varchar(255),
  `opportunity` varchar(255),
  `description` text,
  `outcome` text,
  `duration_minutes` float,
  primary key (`id`)
);
CREATE TABLE `crm_contact` (
  `id` varchar(255),
  `created_at` datetime default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  `updated_at` datetime default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  `first_name` text,
  `last_name` text,
  `email` varchar(255),
  `account` varchar(255),
  primary key (`id`)
);
CREATE TABLE `crm_lead` (
  `id` varchar(255),
  `created_at` datetime default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  `updated_at` datetime default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  `name` text,
  `email` varchar(255),
  `phone` varchar(255),
  `company` text,
  `title` text,
  `status` varchar(255),
  `source` varchar(255),
  `lead_score` float default '0',
  `assigned_to` text,
  `account` varchar(255),
  `converted_opportunity` varchar(255),
  `notes` text,
  primary key (`id`)
);
CREATE TABLE `crm_opportunity` (
  `id` varchar(255),
  `created_at` datetime default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  `updated_at` datetime default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  `name` text,
  `account` varchar(255),
  `stage` varchar(255),
  `amount` float,
  `probability` float default '50',
  `close_date` date,
  `discount_percent` float default '0',
  `renewal_of` varchar(255),
  primary key (`id`)
);
