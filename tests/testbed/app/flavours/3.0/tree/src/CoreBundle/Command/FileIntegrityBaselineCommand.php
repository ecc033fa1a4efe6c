<?php

declare(strict_types=1);

namespace Chamilo\CoreBundle\Command;

use Chamilo\CoreBundle\Helpers\FileIntegrityChecker;
use Symfony\Component\Console\Attribute\AsCommand;
use Symfony\Component\Console\Command\Command;
use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Output\OutputInterface;

#[AsCommand('app:file-integrity:baseline', 'Takes the files as they are for what they should be.')]
final class FileIntegrityBaselineCommand extends Command
{
    public function __construct(private readonly FileIntegrityChecker $checker)
    {
        parent::__construct();
    }

    protected function execute(InputInterface $input, OutputInterface $output): int
    {
        $output->writeln(\sprintf('Baseline of %d files.', $this->checker->baseline()));

        return Command::SUCCESS;
    }
}
