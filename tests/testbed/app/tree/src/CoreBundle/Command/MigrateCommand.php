<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\Command;

use Doctrine\DBAL\Connection;
use Symfony\Component\Console\Attribute\AsCommand;
use Symfony\Component\Console\Command\Command;
use Symfony\Component\Console\Input\InputArgument;
use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Output\OutputInterface;

/**
 * Stands in for Doctrine Migrations: the kinds of statement that real migrations run, each version once.
 */
#[AsCommand('doctrine:migrations:migrate', 'Execute a migration to a specified version or the latest available version.')]
final class MigrateCommand extends Command
{
    private const VERSIONS = [
        'Version20260401000000' => [
            'CREATE TABLE IF NOT EXISTS c_notification (id INT AUTO_INCREMENT NOT NULL, user_id INT NOT NULL, content LONGTEXT, created_at DATETIME NOT NULL, PRIMARY KEY(id)) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci ENGINE = InnoDB ROW_FORMAT = DYNAMIC',
            'ALTER TABLE c_notification ADD CONSTRAINT FK_C_NOTIFICATION_USER FOREIGN KEY (user_id) REFERENCES user (id) ON DELETE CASCADE',
            'CREATE INDEX idx_c_notification_created ON c_notification (created_at)',
        ],
        'Version20260501000000' => [
            'ALTER TABLE course ADD description LONGTEXT DEFAULT NULL',
            "UPDATE course SET description = '' WHERE description IS NULL",
        ],
        'Version20260601000000' => [
            'CREATE TABLE c_scratch (id INT NOT NULL, PRIMARY KEY(id))',
            'RENAME TABLE c_scratch TO c_scratch_old',
            'DROP TABLE c_scratch_old',
        ],
    ];

    public function __construct(private readonly Connection $connection)
    {
        parent::__construct();
    }

    protected function configure(): void
    {
        $this->addArgument('version', InputArgument::OPTIONAL, '', 'latest');
    }

    protected function execute(InputInterface $input, OutputInterface $output): int
    {
        $done = $this->connection->fetchFirstColumn('SELECT version FROM version');
        $count = 0;
        foreach (self::VERSIONS as $version => $statements) {
            $name = 'Chamilo\CoreBundle\Migrations\Schema\V200\\'.$version;
            if (\in_array($name, $done, true)) {
                continue;
            }
            foreach ($statements as $statement) {
                $output->writeln('     -> '.$statement, OutputInterface::VERBOSITY_VERBOSE);
                $this->connection->executeStatement($statement);
                ++$count;
            }
            $this->connection->insert('version', ['version' => $name, 'executed_at' => date('Y-m-d H:i:s'), 'execution_time' => 1]);
            $output->writeln('[notice] migrated '.$name);
        }
        $output->writeln($count ? '[OK] '.$count.' SQL statements executed.' : '[OK] Already at the latest version.');

        return Command::SUCCESS;
    }
}
