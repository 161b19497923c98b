# Installs ccsync @VERSION@ for the user who runs it, or updates the copy that this script has installed.
#
#   irm @LATEST@/install.ps1 | iex
#
# CCSYNC_INSTALL_DIR   directory of the program (default: that of the installed copy, else
#                      %LOCALAPPDATA%\Programs\ccsync)
#
# Replaces nothing before the new program is downloaded, verified and tried. Needs no administrator, and does not
# change the PATH. For PowerShell 5.1 and later.

# A function, so that a script that was cut off does nothing, and that nothing is left in the session.
function Install-Ccsync {
    $ErrorActionPreference = 'Stop'
    # With a progress bar, PowerShell 5.1 downloads ten times as slowly.
    $ProgressPreference = 'SilentlyContinue'
    $version = '@VERSION@'
    $target = 'x86_64-pc-windows-gnu'
    $checksum = '@SHA256:x86_64-pc-windows-gnu@'
    $archive = "ccsync-$target.zip"
    $address = "@DOWNLOADS@/$archive"
    # Lies beside the program, and says that this script put it there, and where newer versions are.
    $marker = '.ccsync-install'

    function Stop-Install($text, $hint) {
        if ($hint) { $text += "`nhint: $hint" }
        throw "install ccsync: $text"
    }

    function Get-Version($program) {
        try { (& $program --version) -replace '^ccsync ', '' } catch { '' }
    }

    # Processors of ARM run it, too: Windows 11 translates.
    if (-not [Environment]::Is64BitOperatingSystem) {
        Stop-Install 'no program for a Windows of 32 bits' 'build it from its source: @ADDRESS@'
    }

    $installed = Get-Command ccsync -CommandType Application -ErrorAction SilentlyContinue | Select-Object -First 1
    $beside = if ($installed) { Split-Path $installed.Source }
    $directory = if ($env:CCSYNC_INSTALL_DIR) { $env:CCSYNC_INSTALL_DIR }
    elseif ($beside -and (Test-Path -LiteralPath (Join-Path $beside $marker))) { $beside }
    else { Join-Path $env:LOCALAPPDATA 'Programs\ccsync' }
    $new = Join-Path $directory ".ccsync-new.$PID"
    try {
        $null = New-Item -ItemType Directory -Force -Path $directory
        $directory = (Resolve-Path -LiteralPath $directory).ProviderPath
        $new = Join-Path $directory ".ccsync-new.$PID"
        $null = New-Item -ItemType Directory -Force -Path $new
    }
    catch {
        Stop-Install "cannot write to $directory" 'name another directory in CCSYNC_INSTALL_DIR'
    }
    $program = Join-Path $directory 'ccsync.exe'

    try {
        $old = ''
        if (Test-Path -LiteralPath $program) {
            if (-not (Test-Path -LiteralPath (Join-Path $directory $marker))) {
                Stop-Install "$program was not installed by this script" `
                    'update it the way it was installed, or remove it, or name another directory in CCSYNC_INSTALL_DIR'
            }
            $old = Get-Version $program
        }
        if ($old -eq $version) {
            "ccsync $version is installed already: $program"
            return
        }

        $file = Join-Path $new $archive
        # PowerShell 5.1 begins with older protocols, which servers refuse.
        [Net.ServicePointManager]::SecurityProtocol = [Net.ServicePointManager]::SecurityProtocol -bor 3072
        try { Invoke-WebRequest -UseBasicParsing -Uri $address -OutFile $file }
        catch { Stop-Install "cannot download ${address}: $_" 'try again later' }
        $found = (Get-FileHash -Algorithm SHA256 -LiteralPath $file).Hash
        if ($found -ne $checksum) {
            Stop-Install "$address is not what was released (SHA-256 $found instead of $checksum)" `
                'nothing was changed; try again'
        }
        Expand-Archive -LiteralPath $file -DestinationPath $new
        $unpacked = Join-Path $new "ccsync-$target"
        $unpacked = Join-Path $unpacked 'ccsync.exe'
        if ((Get-Version $unpacked) -ne $version) {
            Stop-Install "the downloaded program does not run in $directory" `
                'nothing was changed; see whether a virus scanner holds it'
        }

        # The marker first: without it, the next run would not touch the program.
        Set-Content -LiteralPath (Join-Path $directory $marker) -Value '@LATEST@'
        # A program that runs cannot be overwritten, but it can be renamed.
        $aside = Join-Path $directory ".ccsync-old.$PID.exe"
        if ($old) { Move-Item -LiteralPath $program -Destination $aside }
        try { Move-Item -LiteralPath $unpacked -Destination $program }
        catch {
            $reason = $_
            if ($old) { Move-Item -LiteralPath $aside -Destination $program }
            Stop-Install "cannot write ${program}: $reason"
        }
        # One that still runs is removed by the next update.
        Get-ChildItem -Force -LiteralPath $directory -Filter '.ccsync-old.*' |
            Remove-Item -Force -ErrorAction SilentlyContinue

        if ($old) { "ccsync $version installed in place of ${old}: $program" }
        else { "ccsync $version installed: $program" }
        $first = Get-Command ccsync -CommandType Application -ErrorAction SilentlyContinue | Select-Object -First 1
        if (-not $first) {
            "hint: $directory is not on the PATH; for this window:"
            "    `$env:Path = '$directory;' + `$env:Path"
            'and for later ones, add it in Settings > System > About > Advanced system settings > Environment Variables'
        }
        elseif ($first.Source -ne $program) { "hint: another one is found first: $($first.Source)" }
        if (-not (Get-Command git -ErrorAction SilentlyContinue)) {
            'hint: ccsync needs git 2.34 or later: winget install Git.Git'
        }
        if (-not $old) { 'next: ccsync init' }
    }
    finally {
        Remove-Item -Recurse -Force -LiteralPath $new -ErrorAction SilentlyContinue
    }
}

Install-Ccsync
