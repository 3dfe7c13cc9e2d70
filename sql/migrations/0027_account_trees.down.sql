DROP TABLE account_templates;
DROP TRIGGER accounts_stay_in_tree ON accounts;
DROP TRIGGER accounts_check_parent ON accounts;
DROP TRIGGER accounts_check_parent_of_new ON accounts;
DROP FUNCTION refuse_to_leave_tree();
DROP FUNCTION check_parent();
DROP TABLE changed_accounts;
DROP INDEX accounts_by_parent;
