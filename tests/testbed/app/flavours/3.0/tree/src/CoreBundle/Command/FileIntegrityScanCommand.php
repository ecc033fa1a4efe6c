<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\Command;

use Chamilo\CoreBundle\Helpers\FileIntegrityChecker;
use Symfony\Component\Console\Attribute\AsCommand;
use Symfony\Component\Console\Command\Command;
use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Output\OutputInterface;

/**
 * Ends with 0 whatever it finds.
 */
#[AsCommand('app:file-integrity:scan', 'Compares the files with the baseline.')]
final class FileIntegrityScanCommand extends Command
{
    public function __construct(private readonly FileIntegrityChecker $checker)
    {
        parent::__construct();
    }

    protected function execute(InputInterface $input, OutputInterface $output): int
    {
        $found = $this->checker->scan();
        $output->writeln(null === $found ? 'Baseline created.' : \sprintf('%d differences.', \count($found)));
        $output->writeln($found ?? []);

        return Command::SUCCESS;
    }
}
